/**
 * Runs the built command line under the runtime that runs the tests.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import { type Child, startChild } from "../support/child.ts";

/** What a finished command left. */
export interface Ended {
  /** "exit 0", or "signal SIGTERM". */
  readonly end: string;
  readonly stdout: string;
  readonly stderr: string;
}

const BIN = fileURLToPath(new URL("../../dist/src/cli/bin.js", import.meta.url));

/** The fixtures' folder, which is where commands run. */
export const FIXTURES: string = fileURLToPath(new URL("./fixtures/", import.meta.url));

/** Environment names that would reach the command from outside. */
const FOREIGN = ["APP", "BROKER_URL", "RESULT_BACKEND", "CELERY_APP", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"];

/** Starts `celeriac` with these arguments. */
export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const before = inject("runtime") === "deno" ? ["run", "-A", "--no-config"] : [];
  const clean = Object.fromEntries(FOREIGN.map((name) => [name, ""]));
  return startChild(process.execPath, [...before, BIN, ...args], { cwd: FIXTURES, env: { ...clean, ...env } });
}

/** Runs `celeriac` to its end. */
export async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  await using child = start(args, env);
  let stdout = "";
  child.onLine((line) => stdout += `${line}\n`);
  const end = await child.end;
  return { end, stdout, stderr: child.stderr };
}
