/**
 * Messages that have begun twice and came to no end: one of them at a time may begin here.
 *
 * @module
 */
import { doze } from "./doze.ts";
import type { Request } from "./request.ts";

/** ms. */
const LINGERS = 60_000;

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

  /** Nothing is left to do for it. Where its code runs on after its hard limit, the next one waits for that; not for ever, as it may never end. */
  end(request: Request): void {
    const { env: { clock, stopping }, late } = request;
    if (late === undefined || this.#one !== request) return this.leave(request);
    void Promise.race([late, doze(clock, LINGERS, stopping)]).then(() => this.leave(request));
  }

  /** It waits no more, or its turn is over. */
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
