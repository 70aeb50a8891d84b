/**
 * Runs the built command line under the runtime that runs the tests.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import type { Host, Output } from "../../src/cli/host.ts";
import { main } from "../../src/cli/main.ts";
import { ROOT, startCeleriac } from "../support/celeriac.ts";
import type { Child } from "../support/child.ts";

/** What a finished command left. */
export interface Ended {
  /** "exit 0", or "signal SIGTERM". */
  readonly end: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** The fixtures' folder, which is where commands run. */
export const FIXTURES: string = fileURLToPath(new URL("./fixtures/", import.meta.url));

/** Environment names that would reach the command from outside. */
const FOREIGN = [
  "APP",
  "BROKER_URL",
  "RESULT_BACKEND",
  "CELERY_APP",
  "CELERY_BROKER_URL",
  "CELERY_RESULT_BACKEND",
];

/** Starts `celeriac` with these arguments. */
export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const clean = Object.fromEntries(FOREIGN.map((name) => [name, ""]));
  return startCeleriac(args, { cwd: FIXTURES, env: { ...clean, ...env } });
}

/** The words of a shell that start `celeriac` under the runtime that runs the tests. */
export function commandLine(args: readonly string[]): string[] {
  const flags = inject("runtime") === "deno" ? ["run", "-A"] : [];
  return [process.execPath, ...flags, `${ROOT}dist/src/cli/bin.js`, ...args];
}

/** Runs `celeriac` to its end. */
export async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  await using child = start(args, env);
  let stdout = "";
  child.onLine((line) => stdout += `${line}\n`);
  const end = await child.end;
  return { end, stdout, stderr: child.stderr };
}

/** Runs the command line in this process, from source: for what needs no module of the user's. */
export async function attempt(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const written = { stdout: "", stderr: "" };
  const output = (name: keyof typeof written): Output => ({
    write: (text) => void (written[name] += text),
    colour: false,
  });
  const nothing: Disposable = { [Symbol.dispose]() {} };
  const host: Host = {
    args,
    env,
    system: "test",
    stdout: output("stdout"),
    stderr: output("stderr"),
    stripsTypes: true,
    now: () => Date.now(),
    cwd: () => FIXTURES,
    chdir() {},
    onSignal: () => nothing,
    onStray: () => nothing,
    serve: () => Promise.reject(new Error("not here")),
    exit(code) {
      throw new Error(`exit ${code}`);
    },
  };
  const code = await main(host);
  return { end: `exit ${code}`, ...written };
}
