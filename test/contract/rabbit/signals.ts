/**
 * Who told which queue something within one step. Queues and channels of a real server are processes of their own: where two of them
 * speak to a third one at once, the order is chance, and a step in which that happens has no one outcome.
 *
 * @module
 */
import type { Rabbit } from "../../../adapters/memory/rabbit/rabbit.ts";
import type { Queue } from "../../../adapters/memory/rabbit/queue.ts";

/** What begins a step, as opposed to another queue's dead letter. */
const ROOT = "";

/** The queue that a message died in last; the root for one that was published. */
function senderOf(headers: Readonly<Record<string, unknown>>): string {
  const deaths = headers["x-death"] as readonly { readonly queue: string }[] | undefined;
  return deaths?.[0]?.queue ?? ROOT;
}

/** The words of one step. */
export class Signals {
  readonly #senders: Map<string, Set<string>> = new Map<string, Set<string>>();
  /** Per channel (connection and number), the queues that handed it something. */
  readonly #sources: Map<string, Set<string>> = new Map<string, Set<string>>();
  readonly #watched: WeakSet<Queue> = new WeakSet<Queue>();
  #roots = 0;

  /** Notes all that the queues are told from now on. */
  watch(rabbit: Rabbit): void {
    for (const queue of rabbit.queues.values()) {
      if (this.#watched.has(queue)) continue;
      this.#watched.add(queue);
      const { accept, fire } = queue;
      queue.accept = (message, exchange, routingKey) => {
        this.#tell(queue.name, senderOf(message.headers));
        return accept.call(queue, message, exchange, routingKey);
      };
      queue.fire = (now) => {
        this.#tell(queue.name, ROOT);
        fire.call(queue, now);
      };
    }
  }

  clear(): void {
    this.#senders.clear();
    this.#sources.clear();
    this.#roots = 0;
  }

  /** A channel tells a queue something: a settlement of one consumer's deliveries, or its own end. */
  root(queue: string): void {
    this.#tell(queue, ROOT);
  }

  delivered(channel: string, queue: string): void {
    const sources = this.#sources.get(channel) ?? new Set<string>();
    this.#sources.set(channel, sources.add(queue));
  }

  /** Whether anything was handed to a channel. */
  get deliveries(): boolean {
    return this.#sources.size > 0;
  }

  /**
   * Whether chance could decide. What a single word sets off comes after it; with several of them their own order against what they
   * set off is open too.
   */
  get racing(): boolean {
    for (const senders of this.#senders.values()) {
      const others = senders.size - (this.#roots === 1 && senders.has(ROOT) ? 1 : 0);
      if (others > 1) return true;
    }
    return [...this.#sources.values()].some((queues) => queues.size > 1);
  }

  #tell(queue: string, sender: string): void {
    if (sender === ROOT) this.#roots++;
    const senders = this.#senders.get(queue) ?? new Set<string>();
    this.#senders.set(queue, senders.add(sender));
  }
}
