/**
 * What happens by time alone. Nothing here knows a clock: whoever drives the reducer asks for the next due instant and says what time
 * it is.
 *
 * @module
 */
import { Heap } from "./heap.ts";

/** Something with one next instant, which may move. */
export interface Timed {
  /** Where its earliest entry stands among the timers; Infinity when it has none. Kept by {@link Timers}. */
  armed: number;
  /** When it wants to be fired, ms since the epoch; Infinity for never. */
  due(): number;
  /** Does what is due at `now`; afterwards `due()` is later. */
  fire(now: number): void;
}

interface Mark {
  readonly at: number;
  readonly order: number;
  readonly timed: Timed;
}

/** All timed things of one server, next one first. Moved instants are noticed when their turn comes, so that moving one is free. */
export class Timers {
  readonly #marks: Heap<Mark> = new Heap<Mark>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  #order = 0;

  /** Has to be called when `timed` may have become due earlier than before. */
  arm(timed: Timed): void {
    const at = timed.due();
    if (at >= timed.armed) return;
    timed.armed = at;
    this.#marks.push({ at, order: this.#order++, timed });
  }

  /** The next due instant; Infinity when nothing waits. */
  next(): number {
    for (;;) {
      const mark = this.#marks.peek();
      if (mark === undefined) return Infinity;
      if (mark.at === mark.timed.armed) {
        const due = mark.timed.due();
        if (due <= mark.at) return mark.at;
        mark.timed.armed = Infinity;
        this.arm(mark.timed);
      }
      this.#marks.pop();
      // The mark that was looked at is the first of its instant; an equal one pushed meanwhile stands behind it.
    }
  }

  /** Fires what is due at the instant that `next()` gave. */
  fire(): void {
    const mark = this.#marks.pop();
    if (mark === undefined) return;
    mark.timed.armed = Infinity;
    mark.timed.fire(mark.at);
    this.arm(mark.timed);
  }
}
