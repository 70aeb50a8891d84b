/**
 * The built command, as a user starts it, on the runtime that runs the tests.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import { type Child, type ChildOptions, startChild } from "./child.ts";

/** The checkout. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

const BIN = `${ROOT}dist/src/cli/bin.js`;

/** Starts a script of ours on the runtime under test. */
export function startScript(args: readonly string[], options: ChildOptions = {}): Child {
  const flags = inject("runtime") === "deno" ? ["run", "-A"] : [];
  return startChild(process.execPath, [...flags, ...args], { cwd: ROOT, ...options });
}

/** Starts `celeriac …` on the runtime under test. */
export function startCeleriac(args: readonly string[], options: ChildOptions = {}): Child {
  return startScript([BIN, ...args], options);
}
