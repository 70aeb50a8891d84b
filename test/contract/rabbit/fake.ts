/**
 * Runs steps on the reducer.
 *
 * @module
 */
import type { Channel, Outstanding } from "../../../adapters/memory/rabbit/channel.ts";
import type { Command } from "../../../adapters/memory/rabbit/command.ts";
import type { RabbitEvent } from "../../../adapters/memory/rabbit/event.ts";
import type { Rabbit } from "../../../adapters/memory/rabbit/rabbit.ts";
import { advance, apply, createRabbit } from "../../../adapters/memory/rabbit/reducer.ts";
import { commandOf } from "./command.ts";
import { type Model, slotsOf } from "./plan.ts";
import { Signals } from "./signals.ts";
import { connectionOf, type QueueOptions, SLOTS, type Step, type WaitStep } from "./step.ts";
import { gotText, messageText, returnText, Trace } from "./trace.ts";

interface Slot {
  connection: number;
  channel: number;
  open: boolean;
  confirms: boolean;
  /** Confirms waiting, by number: the body. */
  readonly unconfirmed: Map<number, string>;
  published: number;
  lastTag: number;
  stale: readonly number[];
}

/** Instants inside a wait at which chance is looked for, ms. */
const INSTANT = 50;

/** The reducer as a server for steps. */
export class FakeServer implements Model {
  readonly rabbit: Rabbit = createRabbit();
  readonly traces: readonly Trace[] = Array.from({ length: SLOTS }, () => new Trace());
  /** Whether chance could have decided something in the last step. */
  racing = false;
  /** Ready messages and consumers of each queue when last asked. */
  counts: Readonly<Record<string, string>> = {};
  readonly #slots: Slot[] = [];
  readonly #signals: Signals = new Signals();
  readonly #askers: Map<number, number> = new Map<number, number>();
  readonly #control: number;
  readonly #closed: { readonly connection: number; readonly channel: number }[] = [];
  #answer = "";
  #ids = 0;
  #now: number;

  /** `now` in ms since the epoch. */
  constructor(now: number = Date.now()) {
    this.#now = now;
    this.#control = this.#connect();
    for (let slot = 0; slot < SLOTS; slot++) {
      const connection = slot % 2 === 0 ? this.#connect() : this.#slots[slot - 1]?.connection ?? 0;
      this.#slots.push({
        connection,
        channel: 0,
        open: false,
        confirms: false,
        unconfirmed: new Map(),
        published: 0,
        lastTag: 0,
        stale: [],
      });
      this.#openChannel(slot);
    }
  }

  /** A server that has run `steps` and was asked after each. */
  static after(steps: readonly Step[], now: number): FakeServer {
    const server = new FakeServer(now);
    for (const step of steps) {
      server.run(step);
      server.ask();
    }
    return server;
  }

  get queues(): readonly string[] {
    return [...this.rabbit.queues.keys()];
  }

  declared(queue: string): QueueOptions | undefined {
    const identity = this.rabbit.queues.get(queue)?.identity;
    if (identity === undefined) return undefined;
    const { durable, owner, autoDelete, arguments: table } = identity;
    return { durable, exclusive: owner !== undefined, autoDelete, arguments: table };
  }

  isOpen(slot: number): boolean {
    return this.#slots[slot]?.open === true;
  }

  isConnected(connection: number): boolean {
    return this.rabbit.connections.has(this.#at(2 * connection).connection);
  }

  tags(slot: number): readonly string[] {
    return [...this.#channel(slot)?.consumers.keys() ?? []];
  }

  lastTag(slot: number): number {
    return this.#at(slot).lastTag;
  }

  stale(slot: number): readonly number[] {
    return this.#at(slot).stale;
  }

  outstanding(slot: number): readonly number[] {
    return this.unsettled(slot).map(({ tag }) => tag);
  }

  unsettled(slot: number): readonly Outstanding[] {
    const channel = this.#channel(slot);
    return channel === undefined ? [] : [...channel.outstanding()];
  }

  /** Each queue with the number of the connection (0 or 1) that may ask for it; undefined for all. */
  owners(): readonly (readonly [string, number | undefined])[] {
    return [...this.rabbit.queues.values()].map(({ name, identity: { owner } }) => {
      const slot = this.#slots.findIndex(({ connection }) => connection === owner);
      return [name, slot < 0 ? undefined : connectionOf(slot)];
    });
  }

  run(step: Step): void {
    this.#signals.clear();
    this.racing = false;
    if (step.do === "wait") this.#wait(step);
    else {
      const entangled = step.do !== "open" && this.#entangled(step.slot);
      const involved = slotsOf(step.slot).map((slot) => this.#involved(slot));
      const connected = this.isConnected(connectionOf(step.slot));
      const open = this.isOpen(step.slot);
      this.#roots(step);
      if (step.do === "open") this.#reopen(step.slot);
      else for (const command of this.#commands(step)) this.#send(command);
      // What went out in one breath was on its way before the client knew.
      for (const on of this.#closed.splice(0)) this.#send({ do: "channel.close-ok", ...on });
      const ended = connected && !this.isConnected(connectionOf(step.slot));
      if (ended) { for (const queue of involved.flat()) this.#signals.root(queue); }
      else if (open && !this.isOpen(step.slot)) {
        for (const queue of involved[step.slot % 2] ?? []) this.#signals.root(queue);
      }
      // While a connection ends, its channels may still be handed each other's messages: without acks they are gone then, and with
      // them they take turns that others would have had.
      this.racing ||= ended && (entangled || this.#signals.deliveries);
      this.racing ||= this.#signals.racing;
    }
    this.#signals.watch(this.rabbit);
  }

  /** Asks for the counts as the real server is asked, for whatever asking does to a queue. */
  ask(): void {
    this.counts = Object.fromEntries(
      this.owners().map(([queue]) => {
        const owner = this.rabbit.queues.get(queue)?.identity.owner;
        this.#answer = "";
        this.#send({ do: "queue.declare", queue, passive: true, ...this.#asker(owner ?? this.#control) });
        return [queue, this.#answer] as const;
      }),
    );
  }

  #at(slot: number): Slot {
    return this.#slots[slot] as Slot;
  }

  #channel(slot: number): Channel | undefined {
    const { connection, channel } = this.#at(slot);
    return this.rabbit.connections.get(connection)?.channels.get(channel);
  }

  /** The queues that a channel's end concerns. */
  #involved(slot: number): readonly string[] {
    const channel = this.#channel(slot);
    if (channel === undefined) return [];
    const queues = [
      ...[...channel.consumers.values()].map((consumer) => consumer.queue),
      ...[...channel.outstanding()].map((one) => one.queue),
    ];
    return [...new Set(queues.map((queue) => queue.name))];
  }

  /** Whether what one channel of the connection holds could be handed to the other one, be it as a dead letter. */
  #entangled(slot: number): boolean {
    return slotsOf(slot).some((one) =>
      (this.#channel(one ^ 1)?.consumers.size ?? 0) > 0 && this.unsettled(one).length > 0
    );
  }

  /** A channel tells a queue of settled deliveries once for each consumer, and for each `get`. */
  #roots(step: Step): void {
    const all = { deliveryTag: 0, multiple: true };
    const named = step.do === "recover" ? all : "deliveryTag" in step ? step : undefined;
    if (named === undefined) return;
    const { deliveryTag, multiple } = named;
    const settled = this.unsettled(step.slot).filter(({ tag }) =>
      multiple ? deliveryTag === 0 || tag <= deliveryTag : tag === deliveryTag
    );
    const groups = new Map(
      settled.map(({ queue, consumerTag, tag }) => [`${queue.name} ${consumerTag ?? tag}`, queue.name]),
    );
    for (const queue of groups.values()) this.#signals.root(queue);
  }

  /** Chance is looked for instant by instant. */
  #wait({ ms }: WaitStep): void {
    for (let left = ms; left > 0; left -= INSTANT) {
      this.#signals.clear();
      this.#now += Math.min(left, INSTANT);
      for (const event of advance(this.rabbit, this.#now)) this.#hear(event);
      this.racing ||= this.#signals.racing;
    }
  }

  #connect(): number {
    const connection = ++this.#ids;
    this.#send({ do: "connection.open", connection });
    return connection;
  }

  #reopen(slot: number): void {
    const { connection } = this.#at(slot);
    if (!this.rabbit.connections.has(connection)) {
      const fresh = this.#connect();
      for (const one of slotsOf(slot)) this.#at(one).connection = fresh;
    }
    this.#openChannel(slot);
  }

  /** Even slots begin with confirms. */
  #openChannel(slot: number): void {
    const at = this.#at(slot);
    Object.assign(at, {
      channel: ++this.#ids,
      open: true,
      confirms: slot % 2 === 0,
      published: 0,
      lastTag: 0,
    });
    at.unconfirmed.clear();
    const on = { connection: at.connection, channel: at.channel };
    this.#send({ do: "channel.open", ...on });
    if (at.confirms) this.#send({ do: "confirm.select", ...on });
  }

  #commands(step: Exclude<Step, { do: "wait" }>): readonly Command[] {
    const at = this.#at(step.slot);
    if (step.do === "confirm") at.confirms = true;
    if (step.do === "publish" && at.confirms) {
      for (const body of step.bodies) at.unconfirmed.set(++at.published, body);
    }
    if (step.do === "close") this.#ended(at, this.outstanding(step.slot));
    if (step.do === "closeConnection" || step.do === "drop") {
      for (const slot of slotsOf(step.slot)) this.#ended(this.#at(slot), this.outstanding(slot));
    }
    return commandOf(step, at);
  }

  #ended(at: Slot, stale: readonly number[]): void {
    if (at.open) at.stale = stale;
    at.open = false;
  }

  #asker(connection: number): { readonly connection: number; readonly channel: number } {
    const standing = this.#askers.get(connection);
    if (standing !== undefined) return { connection, channel: standing };
    const on = { connection, channel: ++this.#ids };
    this.#askers.set(connection, on.channel);
    this.#send({ do: "channel.open", ...on });
    return on;
  }

  #send(command: Command): void {
    for (const event of apply(this.rabbit, command, this.#now)) this.#hear(event);
  }

  #hear(event: RabbitEvent): void {
    if (!("channel" in event)) {
      if (event.is !== "connection.close") return;
      for (const [slot, one] of this.#slots.entries()) {
        if (one.connection !== event.connection || !one.open) continue;
        this.#ended(one, []);
        this.traces[slot]?.closes.push(`connection ${event.code}`);
      }
      return;
    }
    const slot = this.#slots.findIndex((one) =>
      one.connection === event.connection && one.channel === event.channel
    );
    const trace = this.traces[slot];
    const at = this.#slots[slot];
    if (trace === undefined || at === undefined) {
      if (event.is === "queue.declare-ok") this.#answer = `${event.messageCount}/${event.consumerCount}`;
      return;
    }
    switch (event.is) {
      case "basic.deliver": {
        const queue = this.#channel(slot)?.consumers.get(event.consumerTag)?.queue.name ?? "";
        this.#signals.delivered(`${at.connection} ${at.channel}`, queue);
        at.lastTag = event.deliveryTag;
        trace.deliveries.push(`${event.consumerTag} ${messageText(event, event.message)}`);
        return;
      }
      case "basic.get-ok":
        at.lastTag = event.deliveryTag;
        trace.replies.push(gotText(event, event.message));
        return;
      case "basic.get-empty":
        trace.replies.push("empty");
        return;
      case "queue.declare-ok":
        trace.replies.push(`declared ${event.messageCount}/${event.consumerCount}`);
        return;
      case "queue.purge-ok":
      case "queue.delete-ok":
        trace.replies.push(`gone ${event.messageCount}`);
        return;
      case "basic.return":
        trace.returns.push(returnText(event, event.message));
        return;
      case "basic.ack":
      case "basic.nack":
        trace.confirms.push(`${at.unconfirmed.get(event.deliveryTag)} ${event.is === "basic.ack"}`);
        return;
      case "basic.cancel":
        trace.cancels.push(event.consumerTag);
        return;
      case "channel.close":
        at.open = false;
        trace.closes.push(`channel ${event.code} ${event.text}`);
        this.#closed.push({ connection: event.connection, channel: event.channel });
        return;
      case "channel.open-ok":
      case "channel.close-ok":
        return;
      case "confirm.select-ok":
        return;
      default:
        trace.replies.push("ok");
    }
  }
}
