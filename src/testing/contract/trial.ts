/**
 * The life of one test.
 *
 * @module
 */
import { systemPlatform } from "../../lib/platform.ts";

/** What a test is given, and clears when it ends. */
export interface Clearable {
  clear(): Promise<void>;
}

/** Longer than any test, ms. */
const AGES = 3_600_000;

/** Runs a test. Its failure counts, not one of the clearing after it. */
export async function trial<T extends Clearable>(given: T, run: (given: T) => Promise<void>): Promise<void> {
  // An adapter that holds no process open would let node:test end before its tests do.
  const alive = systemPlatform.clock.after(AGES, () => {});
  try {
    await run(given);
    await given.clear();
  } catch (error) {
    await given.clear().catch(() => {});
    throw error;
  } finally {
    alive.cancel();
  }
}
