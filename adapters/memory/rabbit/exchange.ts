/**
 * Exchanges: which queues a routing key leads to.
 *
 * @module
 */
import type { Table } from "./command.ts";
import type { Queue } from "./queue.ts";

/** The types that the fake knows. */
export const EXCHANGE_TYPES = ["direct", "topic", "fanout"] as const;

/** One of them. */
export type KnownType = (typeof EXCHANGE_TYPES)[number];

/** A queue bound to an exchange. */
export interface Binding {
  readonly exchange: Exchange;
  readonly queue: Queue;
  readonly routingKey: string;
  /** What makes two bindings the same one: queue, key and arguments. */
  readonly id: string;
}

/** Answers remembered per exchange; forgotten when bindings change or there are more than this. */
const REMEMBERED = 4096;

/** Whether a topic pattern matches: `*` is one word, `#` any number of words, none included. */
export function topicMatches(pattern: readonly string[], words: readonly string[]): boolean {
  // `reach` holds after each step which lengths of the pattern match the words so far.
  let reach = new Set<number>();
  const add = (to: Set<number>, at: number): void => {
    to.add(at);
    while (pattern[at] === "#") to.add(++at);
  };
  add(reach, 0);
  for (const word of words) {
    const next = new Set<number>();
    for (const at of reach) {
      const part = pattern[at];
      if (part === undefined) continue;
      if (part === "#") add(next, at);
      else if (part === "*" || part === word) add(next, at + 1);
    }
    reach = next;
  }
  return reach.has(pattern.length);
}

/** RabbitMQ's words of a key: an empty key has none. */
export function topicWords(key: string): readonly string[] {
  return key === "" ? [] : key.split(".");
}

/** An exchange with its bindings. */
export class Exchange {
  readonly name: string;
  readonly type: KnownType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Table;
  readonly #bindings: Map<string, Binding> = new Map<string, Binding>();
  readonly #answers: Map<string, readonly Queue[]> = new Map<string, readonly Queue[]>();

  constructor(
    name: string,
    type: KnownType,
    options: { readonly durable: boolean; readonly autoDelete: boolean; readonly arguments: Table },
  ) {
    this.name = name;
    this.type = type;
    this.durable = options.durable;
    this.autoDelete = options.autoDelete;
    this.arguments = options.arguments;
  }

  get bindings(): Iterable<Binding> {
    return this.#bindings.values();
  }

  get bound(): boolean {
    return this.#bindings.size > 0;
  }

  add(binding: Binding): void {
    if (this.#bindings.has(binding.id)) return;
    this.#bindings.set(binding.id, binding);
    binding.queue.bindings.add(binding);
    this.#answers.clear();
  }

  find(id: string): Binding | undefined {
    return this.#bindings.get(id);
  }

  remove(binding: Binding): void {
    this.#bindings.delete(binding.id);
    binding.queue.bindings.delete(binding);
    this.#answers.clear();
  }

  /** The queues for a key, each once, in the order in which they were bound. */
  route(routingKey: string): readonly Queue[] {
    const key = this.type === "fanout" ? "" : routingKey;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const found = new Set<Queue>();
    const words = this.type === "topic" ? topicWords(key) : [];
    for (const binding of this.#bindings.values()) {
      if (
        this.type === "fanout" ||
        (this.type === "direct" && binding.routingKey === key) ||
        (this.type === "topic" && topicMatches(topicWords(binding.routingKey), words))
      ) found.add(binding.queue);
    }
    const queues = [...found];
    if (this.#answers.size >= REMEMBERED) this.#answers.clear();
    this.#answers.set(key, queues);
    return queues;
  }
}
