/**
 * The samples of examples/testing, run by their own runners.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { promisify, stripVTControlCharacters } from "node:util";
import { ROOT } from "./celeriac.ts";

const run = promisify(execFile);

/** Where the samples are. */
export const SAMPLES: string = `${ROOT}examples/testing/`;

/** What the runner said, colours left out; it throws with that where a test failed. */
export async function runSample(program: string, args: readonly string[]): Promise<string> {
  // Nothing of the runner around this one: a nested vitest would take itself for its worker.
  const { PATH, HOME, TMPDIR } = process.env;
  const env = { PATH, HOME, TMPDIR, NO_COLOR: "1", JITI_FS_CACHE: "false" };
  try {
    const { stdout, stderr } = await run(program, args, { cwd: SAMPLES, env, timeout: 110_000 });
    return stripVTControlCharacters(stdout + stderr);
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${message}\n${stdout}${stderr}`, { cause: error });
  }
}
