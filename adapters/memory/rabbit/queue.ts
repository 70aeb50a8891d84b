/**
 * A classic queue: who is served next, what expires, what is trimmed, and where the returned ones stand.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";
import { type QueueRules, readRules } from "./arguments.ts";
import type { Table } from "./command.ts";
import type { Reason } from "./death.ts";
import type { Binding } from "./exchange.ts";
import type { Rabbit } from "./rabbit.ts";
import { Journal, type Settled } from "./journal.ts";
import { type Entry, Ready } from "./ready.ts";
import type { Timed } from "./timers.ts";
import { type Consumer, Turns } from "./turns.ts";

/** Where the messages of one queue went; with the ready and the unacked ones they add up to `routed`. */
export interface Tally {
  routed: number;
  acked: number;
  rejected: number;
  expired: number;
  maxlen: number;
  purged: number;
}

/** What a declare says of a queue. */
export interface QueueIdentity {
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that owns it, where it is exclusive. */
  readonly owner: number | undefined;
  readonly arguments: Table;
}

/** Whether it outlives the server's end in a queue that does. */
export function isPersistent({ properties }: Message): boolean {
  return properties["delivery_mode"] === 2;
}

/** A queue. */
export class Queue implements Timed {
  armed: number = Infinity;
  deleted = false;
  /** Messages handed out and not settled. */
  unacked = 0;
  /** The one who asked to be the only one. */
  exclusiveConsumer: Consumer | undefined;
  readonly identity: QueueIdentity;
  readonly rules: QueueRules;
  readonly ready: Ready;
  readonly turns: Turns;
  readonly bindings: Set<Binding> = new Set<Binding>();
  readonly tally: Tally = { routed: 0, acked: 0, rejected: 0, expired: 0, maxlen: 0, purged: 0 };
  readonly #rabbit: Rabbit;
  readonly #journal: Journal = new Journal();
  #nextSeq = 1;
  #usedAt: number;
  /** Whether any message ever had an end: most queues never look. */
  #mayExpire = false;
  /** When the head is looked at by time alone. It is set by a look only, as RabbitMQ's timer is. */
  #nextLook = Infinity;

  constructor(rabbit: Rabbit, identity: QueueIdentity) {
    this.identity = identity;
    this.rules = readRules(identity.arguments, identity.name);
    this.ready = new Ready(this.rules.maxPriority);
    this.turns = new Turns(this.rules.singleActive);
    this.#rabbit = rabbit;
    this.#usedAt = rabbit.now;
  }

  get name(): string {
    return this.identity.name;
  }

  /** Whether it is there after the server's end. */
  get lasts(): boolean {
    return this.identity.durable && this.identity.owner === undefined;
  }

  /** Settlements that may not be written down yet, oldest first; none where the server does not remember them. */
  unwritten(): Iterable<Settled> {
    return this.#journal.unwritten(this.#rabbit.now);
  }

  /** The server died before the last so many settlements were written down: these messages are there again. The others are written now. */
  unsettle(count: number): void {
    const settled = [...this.unwritten()];
    const back = settled.slice(Math.max(0, settled.length - count));
    this.#journal.written();
    for (const { as } of back) this.tally[as]--;
    this.unacked += back.length;
    this.giveBack(back.map(({ entry }) => entry));
  }

  /** Takes a message; false when the queue is full and refuses (`x-overflow: reject-publish`). `confirms`: whoever sent it waits for that. */
  accept(
    message: Message,
    exchange: string,
    routingKey: string,
    { confirms = false }: { readonly confirms?: boolean } = {},
  ): boolean {
    this.#hear();
    const full = this.#refuses(message);
    if (full && this.rules.overflow === "reject-publish") return false;
    this.tally.routed++;
    const entry: Entry = {
      seq: this.#nextSeq++,
      message,
      exchange,
      routingKey,
      priority: this.#priority(message),
      expiry: this.#expiry(message),
      redelivered: false,
    };
    if (full) {
      this.#bury(entry, "maxlen");
      return false;
    }
    // It goes to the disk before it is confirmed, and with it what the queue had not written.
    if (confirms && isPersistent(message)) this.#journal.written();
    // A waiting message means that nobody has credit. Handed straight on it never counts against the length, and does not expire.
    const consumer = this.ready.size === 0 ? this.turns.next() : undefined;
    if (consumer !== undefined) {
      this.#hand(consumer, entry);
      return true;
    }
    if (entry.expiry !== Infinity) this.#mayExpire = true;
    this.ready.push(entry);
    // RabbitMQ looks at the head when it is certainly a new one, and not where a higher priority put one before the others.
    if (this.#trim() || this.ready.size === 1) this.#expire();
    return true;
  }

  /** Takes the next message out for a `basic.get`. */
  take(noAck: boolean): Entry | undefined {
    this.use();
    const entry = this.ready.shift();
    if (entry === undefined) return undefined;
    if (noAck) this.tally.acked++;
    else this.unacked++;
    this.#expire();
    return entry;
  }

  /** Hands out what can be handed out. */
  run(): void {
    while (this.ready.size > 0) {
      const consumer = this.turns.next();
      if (consumer === undefined) return;
      const entry = this.ready.shift();
      if (entry === undefined) return;
      this.#hand(consumer, entry);
      this.#expire();
    }
  }

  /** Puts back what was handed out and not settled. */
  giveBack(entries: readonly Entry[]): void {
    this.unacked -= entries.length;
    if (this.deleted) return;
    this.#hear();
    for (const entry of entries) {
      entry.redelivered = true;
      if (entry.expiry !== Infinity) this.#mayExpire = true;
      this.ready.giveBack(entry);
    }
    this.#trim();
    this.#expire();
  }

  /** Settles for good. */
  finish(entries: readonly Entry[], how: "acked" | "rejected"): void {
    this.unacked -= entries.length;
    // A queue that is gone has no dead letters either.
    if (this.deleted) return;
    this.#hear();
    if (this.lasts && this.#rabbit.remembers) {
      for (const entry of entries) if (isPersistent(entry.message)) this.#journal.add({ entry, as: how });
    }
    if (how === "acked") this.tally.acked += entries.length;
    else {
      // Priority by priority, highest first, each in the order of its tags.
      const sorted = this.rules.maxPriority === 0
        ? entries
        : entries.toSorted((a, b) => b.priority - a.priority);
      for (const entry of sorted) this.#bury(entry, "rejected");
    }
  }

  /** Removes the ready messages. */
  purge(): number {
    const count = this.ready.size;
    this.ready.clear();
    this.tally.purged += count;
    return count;
  }

  /** A declare or get, or the last consumer's leave: `x-expires` counts from here. */
  use(): void {
    this.#hear();
    this.#usedAt = this.#rabbit.now;
    if (this.rules.expires !== undefined) this.#rabbit.timers.arm(this);
  }

  due(): number {
    if (this.deleted) return Infinity;
    const { expires } = this.rules;
    const unused = expires === undefined || this.turns.size > 0 ? Infinity : this.#usedAt + expires;
    return Math.min(unused, this.#nextLook);
  }

  fire(now: number): void {
    if (this.#nextLook <= now) {
      this.#nextLook = Infinity;
      this.#expire();
    }
    const { expires } = this.rules;
    if (expires !== undefined && this.turns.size === 0 && this.#usedAt + expires <= now) {
      this.#rabbit.deleteQueue(this);
    }
  }

  #hear(): void {
    this.#journal.hear(this.#rabbit.now);
  }

  #refuses({ body }: Message): boolean {
    const { maxLength, maxBytes, overflow } = this.rules;
    if (overflow === "drop-head") return false;
    return this.ready.size + 1 > maxLength || this.ready.bytes + body.byteLength > maxBytes;
  }

  #hand(consumer: Consumer, entry: Entry): void {
    this.#hear();
    if (consumer.noAck) this.tally.acked++;
    else this.unacked++;
    consumer.channel.deliver(consumer, entry);
  }

  /** Only the head is looked at: a message that ends earlier behind one that ends later stays, and is counted. */
  #expire(): void {
    if (!this.#mayExpire) return;
    const { now } = this.#rabbit;
    for (let head = this.ready.peek(); head !== undefined && now >= head.expiry; head = this.ready.peek()) {
      this.ready.shift();
      this.#bury(head, "expired");
    }
    const expiry = this.ready.peek()?.expiry ?? Infinity;
    if (expiry >= this.#nextLook) return;
    this.#nextLook = expiry;
    this.#rabbit.timers.arm(this);
  }

  /** `x-overflow: drop-head`: the next to be served goes, not the newest. Whether any had to. */
  #trim(): boolean {
    const { maxLength, maxBytes, overflow } = this.rules;
    if (overflow !== "drop-head") return false;
    let dropped = false;
    while (this.ready.size > maxLength || this.ready.bytes > maxBytes) {
      const entry = this.ready.shift();
      if (entry === undefined) break;
      this.#bury(entry, "maxlen");
      dropped = true;
    }
    return dropped;
  }

  #bury(entry: Entry, reason: Reason): void {
    this.tally[reason]++;
    const { deadLetter } = this.rules;
    if (deadLetter !== undefined) this.#rabbit.deaths.push({ entry, queue: this, reason, to: deadLetter });
  }

  #priority(message: Message): number {
    const { maxPriority } = this.rules;
    const priority = message.properties["priority"];
    return maxPriority === 0 || typeof priority !== "number"
      ? 0
      : Math.min(Math.max(0, priority), maxPriority);
  }

  #expiry(message: Message): number {
    const { messageTtl } = this.rules;
    const own = message.properties["expiration"];
    if (messageTtl === undefined && own === undefined) return Infinity;
    return this.#rabbit.now + Math.min(messageTtl ?? Infinity, own === undefined ? Infinity : Number(own));
  }
}
