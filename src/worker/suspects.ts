/**
 * Messages that have begun twice and came to no end: one of them at a time may begin here.
 *
 * @module
 */
import type { Request } from "./request.ts";

/** The line of one worker: where one of them kills it, no other is counted with it. Who waits holds no slot. */
export class Suspects {
  #one: Request | undefined;
  readonly #line = new Map<Request, () => void>();

  /** Those that wait for their turn. */
  get waiting(): Iterable<Request> {
    return this.#line.keys();
  }

  /** Calls `turn` once it is its turn, perhaps at once; it lasts until the request leaves. */
  wait(request: Request, turn: () => void): void {
    this.#line.set(request, turn);
    if (this.#one === undefined) this.#next();
  }

  /** It has ended, or waits no more. */
  leave(request: Request): void {
    this.#line.delete(request);
    if (this.#one === request) this.#next();
  }

  #next(): void {
    const [first] = this.#line;
    this.#one = first?.[0];
    if (first === undefined) return;
    this.#line.delete(first[0]);
    first[1]();
  }
}
