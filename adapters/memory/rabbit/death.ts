/**
 * Dead letters: where a message goes that was rejected, ran out of time or had no room, and what it is told of its deaths.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";
import type { Queue } from "./queue.ts";
import type { Rabbit } from "./rabbit.ts";
import type { Entry } from "./ready.ts";

/** Why a message died. */
export type Reason = "rejected" | "expired" | "maxlen";

/** A death on its way to its dead letter exchange. */
export interface Death {
  readonly entry: Entry;
  readonly queue: Queue;
  readonly reason: Reason;
  readonly to: { readonly exchange: string; readonly routingKey: string | undefined };
}

/** One entry of the `x-death` header. */
interface DeathRecord {
  readonly count: number;
  readonly reason: string;
  readonly queue: string;
  readonly time: Date;
  readonly exchange: string;
  readonly "routing-keys": readonly string[];
  readonly "original-expiration"?: string;
}

function recordsOf(message: Message): readonly DeathRecord[] {
  const header = message.headers["x-death"];
  return Array.isArray(header) ? header as DeathRecord[] : [];
}

/**
 * A repeat moves to the front and only counts up: time, exchange and keys stay those of the first death of its kind. RabbitMQ turns the
 * others round each time, so that only the first entry is certainly the newest.
 */
function told(death: Death, now: number): Message {
  const { entry, queue, reason } = death;
  const { message } = entry;
  const { expiration, ...properties } = message.properties;
  const records = recordsOf(message);
  const before = records.find((record) => record.queue === queue.name && record.reason === reason);
  const others = records.filter((record) => record !== before).reverse();
  const fresh: DeathRecord = {
    count: 1,
    reason,
    queue: queue.name,
    time: new Date(Math.floor(now / 1000) * 1000),
    exchange: entry.exchange,
    "routing-keys": [entry.routingKey],
    ...(typeof expiration === "string" ? { "original-expiration": expiration } : {}),
  };
  const first = records.length > 0 ? {} : {
    "x-first-death-exchange": entry.exchange,
    "x-first-death-queue": queue.name,
    "x-first-death-reason": reason,
  };
  const latest = before === undefined ? fresh : { ...before, count: before.count + 1 };
  return {
    ...message,
    properties,
    headers: { ...message.headers, ...first, "x-death": [latest, ...others] },
  };
}

/** Whether the message would come into `queue` for the second time with nobody's rejection in between. */
function isCycle(queue: Queue, records: readonly DeathRecord[]): boolean {
  const at = records.findIndex((record) => record.queue === queue.name);
  return at >= 0 && records.slice(0, at + 1).every((record) => record.reason !== "rejected");
}

/** Routes one dead message. A dead letter exchange that is not there drops it, as does a cycle. */
export function route(rabbit: Rabbit, death: Death): void {
  const { entry, reason, to } = death;
  const message = told(death, rabbit.now);
  const routingKey = to.routingKey ?? entry.routingKey;
  for (const queue of rabbit.route(to.exchange, routingKey) ?? []) {
    if (reason !== "rejected" && isCycle(queue, recordsOf(message))) continue;
    queue.accept(message, to.exchange, routingKey);
  }
}
