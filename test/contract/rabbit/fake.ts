/**
 * Runs steps on the reducer.
 *
 * @module
 */
import type { Command } from "../../../adapters/memory/rabbit/command.ts";
import type { RabbitEvent } from "../../../adapters/memory/rabbit/event.ts";
import type { Rabbit } from "../../../adapters/memory/rabbit/rabbit.ts";
import { advance, apply, createRabbit } from "../../../adapters/memory/rabbit/reducer.ts";
import { connectionOf, type Model, type QueueOptions, SLOTS, type Step } from "./plan.ts";
import { deathsOf, Trace } from "./trace.ts";

interface Slot {
  connection: number;
  channel: number;
  open: boolean;
  /** Confirms waiting, by number: the body. */
  readonly unconfirmed: Map<number, string>;
  published: number;
}

/** The reducer as a server for steps. */
export class FakeServer implements Model {
  readonly rabbit: Rabbit = createRabbit();
  readonly traces: readonly Trace[] = Array.from({ length: SLOTS }, () => new Trace());
  /** Per step and slot, the queues that deliveries came from: more than one is a race on a real server. */
  readonly sources: Map<number, Set<string>> = new Map();
  readonly #slots: Slot[] = [];
  #ids = 0;
  #now = Date.now();

  constructor() {
    for (let slot = 0; slot < SLOTS; slot++) {
      const connection = slot % 2 === 0 ? this.#connect() : this.#slots[slot - 1]?.connection ?? 0;
      this.#slots.push({ connection, channel: 0, open: false, unconfirmed: new Map(), published: 0 });
      this.#openChannel(slot);
    }
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

  /** Whether what one channel of the connection holds could be handed to the other one, be it as a dead letter. */
  entangled(connection: number): boolean {
    const slots = [2 * connection, 2 * connection + 1];
    return slots.some((slot) => {
      const { connection: id, channel } = this.#at(slot ^ 1);
      const consumers = this.rabbit.connections.get(id)?.channels.get(channel)?.consumers.size ?? 0;
      return consumers > 0 && this.unsettled(slot).length > 0;
    });
  }

  /** Whether the end of the channel sends a dead letter to a queue that may not have noticed the end yet. */
  tangled(slot: number): boolean {
    const { connection, channel } = this.#at(slot);
    const found = this.rabbit.connections.get(connection)?.channels.get(channel);
    if (found === undefined || found.consumers.size === 0) return false;
    return [...found.outstanding()].some(({ queue }) => queue.rules.deadLetter !== undefined);
  }

  outstanding(slot: number): readonly number[] {
    return this.unsettled(slot).map(({ tag }) => tag);
  }

  unsettled(slot: number): readonly { readonly tag: number; readonly queue: string }[] {
    const { connection, channel } = this.#at(slot);
    const found = this.rabbit.connections.get(connection)?.channels.get(channel);
    return found === undefined
      ? []
      : [...found.outstanding()].map(({ tag, queue }) => ({ tag, queue: queue.name }));
  }

  /** Ready messages and consumers of each queue. */
  counts(): Readonly<Record<string, string>> {
    const all = [...this.rabbit.queues.values()];
    return Object.fromEntries(all.map((queue) => [queue.name, `${queue.ready.size}/${queue.turns.size}`]));
  }

  /** Each queue with the number of the connection (0 or 1) that may ask for it; undefined for all. */
  owners(): readonly (readonly [string, number | undefined])[] {
    return [...this.rabbit.queues.values()].map(({ name, identity: { owner } }) => {
      const slot = this.#slots.findIndex(({ connection }) => connection === owner);
      return [name, slot < 0 ? undefined : connectionOf(slot)];
    });
  }

  run(step: Step): void {
    this.sources.clear();
    if (step.do === "open") return this.#reopen(step.slot);
    if (step.do === "wait") {
      this.#now += step.ms;
      for (const event of advance(this.rabbit, this.#now)) this.#hear(event);
      return;
    }
    const slot = this.#at(step.slot);
    if (step.do === "publish" && step.slot % 2 === 0) slot.unconfirmed.set(++slot.published, step.body);
    if (step.do === "close") slot.open = false;
    if (step.do === "closeConnection") {
      for (const one of this.#slots) if (one.connection === slot.connection) one.open = false;
    }
    this.#send(this.#command(step, slot));
  }

  #at(slot: number): Slot {
    return this.#slots[slot] as Slot;
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
      for (const [other, one] of this.#slots.entries()) {
        if (connectionOf(other) === connectionOf(slot)) one.connection = fresh;
      }
    }
    this.#openChannel(slot);
  }

  /** Even slots have confirms. */
  #openChannel(slot: number): void {
    const at = this.#at(slot);
    at.channel = ++this.#ids;
    at.open = true;
    at.published = 0;
    at.unconfirmed.clear();
    this.#send({ do: "channel.open", connection: at.connection, channel: at.channel });
    if (slot % 2 === 0) this.#send({ do: "confirm.select", connection: at.connection, channel: at.channel });
  }

  #command(step: Exclude<Step, { do: "wait" }>, { connection, channel }: Slot): Command {
    const on = { connection, channel };
    switch (step.do) {
      case "declare":
        return { ...step, ...on, do: "queue.declare" };
      case "delete":
        return { ...step, ...on, do: "queue.delete" };
      case "purge":
        return { ...step, ...on, do: "queue.purge" };
      case "exchange":
        return { ...step, ...on, do: "exchange.declare" };
      case "deleteExchange":
        return { ...step, ...on, do: "exchange.delete" };
      case "bind":
      case "unbind":
        return { ...step, ...on, do: `queue.${step.do}` };
      case "publish": {
        const properties = {
          ...(step.priority === undefined ? {} : { priority: step.priority }),
          ...(step.expiration === undefined ? {} : { expiration: step.expiration }),
        };
        const body = new TextEncoder().encode(step.body);
        const message = { headers: {}, properties, contentType: "", contentEncoding: "", body };
        const { exchange, routingKey, mandatory } = step;
        return { ...on, do: "basic.publish", exchange, routingKey, mandatory, message };
      }
      case "qos":
        return { ...step, ...on, do: "basic.qos" };
      case "consume":
        return {
          ...step,
          ...on,
          do: "basic.consume",
          consumerTag: step.tag,
          arguments: step.priority === undefined ? {} : { "x-priority": step.priority },
        };
      case "cancel":
        return { ...on, do: "basic.cancel", consumerTag: step.tag };
      case "get":
        return { ...step, ...on, do: "basic.get" };
      case "ack":
      case "nack":
      case "reject":
        return { ...step, ...on, do: `basic.${step.do}` };
      case "close":
        return { ...on, do: "channel.close" };
      case "open":
        return { ...on, do: "channel.open" };
      case "closeConnection":
        return { do: "connection.close", connection };
    }
  }

  #send(command: Command): void {
    for (const event of apply(this.rabbit, command, this.#now)) this.#hear(event);
  }

  #hear(event: RabbitEvent): void {
    if (!("channel" in event)) {
      if (event.is !== "connection.close") return;
      for (const [slot, one] of this.#slots.entries()) {
        if (one.connection !== event.connection || !one.open) continue;
        one.open = false;
        this.traces[slot]?.closes.push(`connection ${event.code}`);
      }
      return;
    }
    const slot = this.#slots.findIndex((one) =>
      one.connection === event.connection && one.channel === event.channel
    );
    const trace = this.traces[slot];
    const at = this.#slots[slot];
    if (trace === undefined || at === undefined) return;
    switch (event.is) {
      case "basic.deliver": {
        const queue = this.rabbit.connections.get(at.connection)?.channels.get(at.channel)?.consumers.get(
          event.consumerTag,
        )
          ?.queue.name ?? "";
        const sources = this.sources.get(slot) ?? new Set<string>();
        this.sources.set(slot, sources.add(queue));
        trace.deliveries.push(
          `${event.consumerTag} #${event.deliveryTag} ${event.redelivered} ${event.exchange}|${event.routingKey}|` +
            new TextDecoder().decode(event.message.body) + deathsOf(event.message.headers),
        );
        return;
      }
      case "basic.get-ok":
        trace.replies.push(
          `got #${event.deliveryTag} ${event.redelivered} ${event.exchange}|${event.routingKey}|` +
            `${new TextDecoder().decode(event.message.body)}${
              deathsOf(event.message.headers)
            } left ${event.messageCount}`,
        );
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
        trace.returns.push(
          `${event.code} ${event.exchange}|${event.routingKey}|${
            new TextDecoder().decode(event.message.body)
          }`,
        );
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
        trace.closes.push(`channel ${event.code}`);
        this.#send({ do: "channel.close-ok", connection: event.connection, channel: event.channel });
        return;
      case "channel.open-ok":
      case "channel.close-ok":
      case "confirm.select-ok":
        return;
      default:
        trace.replies.push("ok");
    }
  }
}
