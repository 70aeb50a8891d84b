/**
 * An iteration that can be asked for the next one in time.
 *
 * @module
 */
import { systemPlatform } from "../../lib/platform.ts";
import type { Timer } from "../../lib/port.ts";
import { AssertionError } from "../assert.ts";
import { show } from "../difference.ts";

/** Reads an iteration step by step, without ever asking for more than was asked of it. */
export class Reader<T> {
  readonly #iterator: AsyncIterator<T>;
  readonly #patience: number;
  #pending: Promise<IteratorResult<T>> | undefined;

  /** `patience` in ms. */
  constructor(source: AsyncIterable<T>, patience: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#patience = patience;
  }

  /** Asks for the next one, if nobody asked yet; a look, not a wait. */
  ask(): Promise<IteratorResult<T>> {
    this.#pending ??= this.#iterator.next();
    return this.#pending;
  }

  /** What `ask` gives, or undefined where that takes longer than `ms`. */
  async #within(ms: number): Promise<IteratorResult<T> | undefined> {
    let timer: Timer | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = systemPlatform.clock.after(ms, () => resolve(undefined));
    });
    try {
      return await Promise.race([this.ask(), late]);
    } finally {
      timer?.cancel();
    }
  }

  async #step(what: string): Promise<IteratorResult<T>> {
    const step = await this.#within(this.#patience);
    if (step === undefined) throw new AssertionError(`not within ${this.#patience} ms: ${what}`);
    return step;
  }

  /** The next one, or undefined where none comes within `ms`. */
  async soon(ms: number): Promise<T | undefined> {
    return await this.#within(ms) === undefined ? undefined : await this.next();
  }

  /** The next one; fails where none comes in time. */
  async next(): Promise<T> {
    const step = await this.#step("the next one of the iteration");
    this.#pending = undefined;
    if (step.done === true) throw new AssertionError("the iteration ended instead of giving the next one");
    return step.value;
  }

  /** The next `count`. */
  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) {
      try {
        taken.push(await this.next());
      } catch (cause) {
        throw new AssertionError(`got ${taken.length} of ${count}: ${String(cause)}`, { cause });
      }
    }
    return taken;
  }

  /** Waits for the end of the iteration. */
  async ended(): Promise<void> {
    const step = await this.#step("the end of the iteration");
    if (step.done !== true) {
      throw new AssertionError(`the iteration gave ${show(step.value)} instead of ending`);
    }
  }

  /** Fails where something comes within `ms`: only after a sign that whatever could come had its time. */
  async quiet(what: string, ms = 50): Promise<void> {
    const step = await this.#within(ms);
    if (step !== undefined) {
      throw new AssertionError(
        `${what}: expected silence, got ${step.done === true ? "the end" : show(step.value)}`,
      );
    }
  }
}
