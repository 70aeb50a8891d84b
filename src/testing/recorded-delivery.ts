/**
 * A delivery whose fate is written down.
 *
 * @module
 */
import type { Delivery, Message, Settlement } from "../broker.ts";
import type { Recorder } from "./recorder.ts";

/** The id of the task that a message is about, "" where it has none: protocol 1 has it in the correlation id too. */
export function taskOf({ headers, properties }: Message): string {
  const id = headers["id"] ?? properties["correlation_id"];
  return typeof id === "string" ? id : "";
}

/** How many retries came before it, where it says so. */
export function retriesOf({ headers }: Message): { readonly retries?: number } {
  const retries = headers["retries"];
  return typeof retries === "number" && retries > 0 ? { retries } : {};
}

/** A number that two messages share only if their task names and bodies are equal, or by a chance of one in 2^32 (FNV-1a). */
export function digestOf({ headers, body }: Message): number {
  let hash = 0x811c9dc5;
  const take = (byte: number): void => {
    hash = Math.imul(hash ^ byte, 0x01000193);
  };
  const name = headers["task"];
  if (typeof name === "string") { for (let at = 0; at < name.length; at++) take(name.charCodeAt(at)); }
  for (const byte of body) take(byte);
  return hash >>> 0;
}

/** See the contract in `src/broker.ts`: everything is the inner one's. */
export class RecordedDelivery implements Delivery {
  readonly #inner: Delivery;
  readonly #recorder: Recorder;
  readonly #watch: Disposable;
  /** Its number in the history. */
  readonly number: number;
  /** The id of its task, "" where it has none. */
  readonly task: string;

  constructor(recorder: Recorder, inner: Delivery, consumer: number, epoch: number) {
    this.#inner = inner;
    this.#recorder = recorder;
    this.number = recorder.history.number("delivery");
    this.task = taskOf(inner.message);
    recorder.add({
      is: "delivered",
      task: this.task,
      delivery: this.number,
      consumer,
      epoch,
      queue: inner.queue,
      redelivered: inner.redelivered,
      digest: digestOf(inner.message),
      ...retriesOf(inner.message),
    });
    this.#watch = inner.onLost(() => recorder.add({ is: "lost", task: this.task, delivery: this.number }));
  }

  get message(): Message {
    return this.#inner.message;
  }

  get queue(): string {
    return this.#inner.queue;
  }

  get route(): Delivery["route"] {
    return this.#inner.route;
  }

  get redelivered(): boolean {
    return this.#inner.redelivered;
  }

  get attempts(): number | undefined {
    return this.#inner.attempts;
  }

  async settle(how: Settlement): Promise<"settled" | "stale"> {
    const of = { task: this.task, delivery: this.number, as: how.as };
    const isLater = how.as === "requeue" && how.notBefore !== undefined;
    this.#recorder.add({ is: "settling", ...of, ...(isLater ? { later: true } : {}) });
    try {
      const settled = this.#inner.settle(how);
      this.#watch[Symbol.dispose]();
      const outcome = await settled;
      this.#recorder.add({ is: "settled", ...of, outcome });
      return outcome;
    } catch (error) {
      this.#recorder.add({ is: "settled", ...of, outcome: "failed" });
      throw error;
    }
  }

  onLost(listener: () => void): Disposable {
    return this.#inner.onLost(listener);
  }
}
