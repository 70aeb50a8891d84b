/**
 * Finds processes that a test run has left behind, whatever group or session they are in, by a mark in their environment.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** The variable that marks; children inherit it. */
export const MARK = "CELERIAC_TEST_RUN";

/**
 * Linux only: elsewhere it finds nothing.
 *
 * @param {string} run the value of the mark
 * @returns {{ pid: number, command: string }[]}
 */
export function leftovers(run) {
  /** @type {{ pid: number, command: string }[]} */
  const found = [];
  /** @type {string[]} */
  let names = [];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return found;
  }
  for (const name of names) {
    try {
      if (
        Number(name) === process.pid ||
        !readFileSync(`/proc/${name}/environ`, "utf8").split("\0").includes(`${MARK}=${run}`)
      ) {
        continue;
      }
      found.push({
        pid: Number(name),
        command: readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim(),
      });
    } catch {
      // Ended meanwhile, or another user's.
    }
  }
  return found;
}

/**
 * Waits up to `grace` ms for them to end by themselves, then kills them.
 *
 * @param {string} run
 * @param {number} grace
 * @returns {Promise<string[]>} the commands of those that had to be killed
 */
export async function sweep(run, grace) {
  const end = performance.now() + grace;
  let left = leftovers(run);
  while (left.length > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    left = leftovers(run);
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Ended meanwhile.
    }
  }
  return left.map(({ command }) => command);
}
