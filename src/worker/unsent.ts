/**
 * Messages that go back because what was to be sent in their stead could not be: each time later than the time before.
 *
 * @module
 */
import type { Request } from "./request.ts";

/** ms. */
const SHORTEST = 1000;
const LONGEST = 30_000;

/** As many are remembered at most; one that is forgotten begins with the shortest pause again. */
const REMEMBERED = 10_000;

/** The pause after one of so many ms: 1, 2, 4, … 30 s. */
export function longer(pause?: number): number {
  return pause === undefined ? SHORTEST : Math.min(2 * pause, LONGEST);
}

/** The pauses of one worker. They die with it: another one begins with the shortest. */
export class Unsent {
  readonly #pauses = new Map<string, number>();

  /** How long the message is to wait this time, ms. */
  pause(request: Request): number {
    const key = keyOf(request);
    const pause = longer(this.#pauses.get(key));
    this.#pauses.delete(key);
    this.#pauses.set(key, pause);
    if (this.#pauses.size > REMEMBERED) this.#pauses.delete(this.#pauses.keys().next().value as string);
    return pause;
  }

  /** It was sent. */
  forget(request: Request): void {
    if (this.#pauses.size > 0) this.#pauses.delete(keyOf(request));
  }
}

function keyOf({ message }: Request): string {
  return `${message.id}:${message.retries}`;
}
