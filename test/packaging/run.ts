/**
 * A program run to its end, as the tests of the package need it.
 *
 * @module
 */
import { startChild } from "../support/child.ts";

/** Where and with what a program runs. */
export interface Run {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After so many ms the program is stopped, and the run has failed. @default 60 000 */
  readonly deadline?: number;
}

/** What a program wrote. */
export interface Written {
  readonly stdout: string;
  /** Both streams. */
  readonly log: string;
}

/** Runs to the end; fails with all that was written. */
export async function run(program: string, args: readonly string[], options: Run): Promise<Written> {
  const { deadline = 60_000, ...rest } = options;
  await using child = startChild(program, args, rest);
  let stdout = "";
  child.onLine((line) => stdout += `${line}\n`);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void child.stop("SIGKILL");
  }, deadline);
  const end = await child.end;
  clearTimeout(timer);
  const why = late ? `still running after ${deadline} ms` : end;
  if (why !== "exit 0") throw new Error(`${program} ${args.join(" ")}: ${why}\n${child.log}`);
  return { stdout: stdout.trim(), log: child.log };
}

/** Its stdout alone. */
export async function output(...call: Parameters<typeof run>): Promise<string> {
  return (await run(...call)).stdout;
}
