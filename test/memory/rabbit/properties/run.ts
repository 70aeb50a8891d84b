/**
 * Random commands on four channels of two connections over queues of each kind.
 *
 * @module
 */
import fc from "fast-check";
import type { Channel } from "../../../../adapters/memory/rabbit/channel.ts";
import type { RabbitEvent } from "../../../../adapters/memory/rabbit/event.ts";
import { type At, Server } from "../server.ts";

/** A command before its picks are resolved. */
export interface Op {
  readonly kind: string;
  readonly slot: number;
  readonly a: number;
  readonly b: number;
}

const KINDS: Readonly<Record<string, number>> = {
  publish: 12,
  fanout: 2,
  consume: 5,
  cancel: 2,
  qos: 3,
  get: 3,
  ack: 6,
  nack: 4,
  reject: 3,
  recover: 1,
  close: 2,
  drop: 1,
  purge: 1,
  wait: 3,
  badTag: 1,
};

export const opsArb: fc.Arbitrary<readonly Op[]> = fc.array(
  fc.noBias(fc.record({
    kind: fc.oneof(
      ...Object.entries(KINDS).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })),
    ),
    slot: fc.nat(3),
    a: fc.nat(999),
    b: fc.nat(999),
  })),
  { minLength: 1, maxLength: 120, size: "max" },
);

const TO_PLAIN = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "plain" };

/** Plain, with an end, with a bound that drops, with one that refuses, with one that does both, with priorities, for one consumer. */
const QUEUES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  plain: {},
  short: { "x-message-ttl": 50, ...TO_PLAIN },
  small: { "x-max-length": 3, ...TO_PLAIN },
  full: { "x-max-length": 3, "x-overflow": "reject-publish" },
  buried: { "x-max-length": 3, "x-overflow": "reject-publish-dlx", ...TO_PLAIN },
  ranked: { "x-max-priority": 5 },
  single: { "x-single-active-consumer": true },
};

export const NAMES: readonly string[] = Object.keys(QUEUES);

/** Those whose dead come into "plain". */
export const DYING: readonly string[] = NAMES.filter((name) =>
  "x-dead-letter-exchange" in (QUEUES[name] ?? {})
);

export interface Sent {
  readonly slot: number;
  readonly number: number;
  readonly priority: number;
}

/** One run. */
export class Run {
  readonly server: Server = new Server();
  readonly slots: At[];
  readonly sent: Map<string, Sent> = new Map<string, Sent>();
  /** How often each queue was sent something by a publish of ours, and took it. */
  readonly routed: Map<string, number> = new Map<string, number>();
  #tags = 0;
  #numbers = 0;
  #channels = 10;

  constructor() {
    const connections = [this.server.connect(), this.server.connect()];
    this.slots = [0, 1, 2, 3].map((slot) => this.server.channel(connections[slot >> 1], 1 + (slot & 1)));
    const at = this.server.channel();
    at.exchange("all", "fanout");
    for (const name of NAMES) {
      at.declare(name, { arguments: QUEUES[name] ?? {} });
      at.bind(name, "all");
    }
  }

  at(slot: number): At {
    const at = this.slots[slot] as At;
    if (at.isOpen) return at;
    const alive = this.server.rabbit.connections.has(at.connection);
    const connection = alive ? at.connection : this.server.connect();
    const fresh = this.server.channel(connection, ++this.#channels);
    this.slots[slot] = fresh;
    return fresh;
  }

  /** Consumers are told apart by tags that are never used again. */
  step({ kind, slot, a, b }: Op): readonly RabbitEvent[] {
    const at = this.at(slot);
    const queue = NAMES[a % NAMES.length] ?? "";
    const tag = (): number => at.tags[b % Math.max(1, at.tags.length)] ?? 0;
    switch (kind) {
      case "publish":
      case "fanout":
        return this.#publish(at, slot, kind === "publish" ? queue : undefined, b % 7);
      case "consume":
        return at.consume(queue, `c${++this.#tags}`, {
          noAck: b % 5 === 0,
          arguments: b % 3 === 0 ? { "x-priority": a % 4 } : {},
        });
      case "cancel":
        return at.cancel(`c${1 + (b % Math.max(1, this.#tags))}`);
      case "qos":
        return at.qos(a % 4);
      case "get":
        return at.get(queue, b % 4 === 0);
      case "ack":
        return tag() === 0 ? [] : at.ack(tag(), a % 3 === 0);
      case "nack":
        return tag() === 0 ? [] : at.nack(tag(), a % 3 === 0);
      case "reject":
        return tag() === 0 ? [] : at.reject(tag());
      case "recover":
        return at.recover();
      case "badTag":
        return at.ack(10_000 + b);
      case "close":
        return at.close();
      case "drop":
        return this.server.send({ do: "connection.drop", connection: at.connection });
      case "purge":
        return at.purge(queue);
      default:
        return this.server.wait(a % 40);
    }
  }

  /** All open channels of the server. */
  *channels(): IterableIterator<Channel> {
    for (const connection of this.server.rabbit.connections.values()) yield* connection.channels.values();
  }

  queueOf(
    event: { readonly connection: number; readonly channel: number; readonly consumerTag: string },
  ): string {
    const channel = this.server.rabbit.connections.get(event.connection)?.channels.get(event.channel);
    return channel?.consumers.get(event.consumerTag)?.queue.name ?? "";
  }

  /** To one queue, or to all. */
  #publish(at: At, slot: number, queue: string | undefined, priority: number): readonly RabbitEvent[] {
    const text = `m${++this.#numbers}`;
    this.sent.set(text, { slot, number: this.#numbers, priority });
    const before = this.server.queue("full").tally.routed;
    const options = { properties: { priority } };
    const events = at.publish(
      queue ?? "",
      text,
      queue === undefined ? { exchange: "all", ...options } : options,
    );
    const refused = this.server.queue("full").tally.routed === before;
    for (const name of queue === undefined ? NAMES : [queue]) {
      if (name === "full" && refused) continue;
      this.routed.set(name, (this.routed.get(name) ?? 0) + 1);
    }
    return events;
  }
}
