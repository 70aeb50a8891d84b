/**
 * Calls to listeners that are not ours.
 *
 * @module
 */

/** Calls `listener`. What it throws shows up as an unhandled rejection and does not stop what we are in the middle of. */
export function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    void Promise.reject(error);
  }
}
