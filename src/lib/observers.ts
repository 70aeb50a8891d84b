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

/** Those who observe one thing. */
export class Observers<E> {
  readonly #observers: Set<(event: E) => void> = new Set<(event: E) => void>();

  /** Calls `observer` with each event until the answer is disposed. The same function may observe twice; each time is taken back by itself. */
  add(observer: (event: E) => void): Disposable {
    const own = (event: E): void => observer(event);
    this.#observers.add(own);
    return { [Symbol.dispose]: () => void this.#observers.delete(own) };
  }

  /** Tells all who observe now, and still do when it is their turn. */
  tell(event: E): void {
    for (const observer of [...this.#observers]) {
      if (this.#observers.has(observer)) tell(() => observer(event));
    }
  }
}
