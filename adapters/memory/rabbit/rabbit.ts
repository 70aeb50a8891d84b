/**
 * The state of one server, and the few things that several methods do to it.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";
import type { Channel } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { type Death, route } from "./death.ts";
import type { RabbitEvent } from "./event.ts";
import { Exchange } from "./exchange.ts";
import type { Fault } from "./fault.ts";
import { Heap } from "./heap.ts";
import type { Queue } from "./queue.ts";
import type { Entry } from "./ready.ts";
import { Ring } from "./ring.ts";
import { Timers } from "./timers.ts";
import type { Consumer } from "./turns.ts";

/** What a server allows; the defaults are those of RabbitMQ 3.10. */
export interface Limits {
  /** The largest body, bytes. */
  readonly maxMessage: number;
  /** How long a delivery may stay unacked before its channel is closed, ms. */
  readonly consumerTimeout: number;
  /** How often channels are looked at for that, ms. */
  readonly channelTick: number;
}

/** RabbitMQ 3.10's. */
export const RABBIT_LIMITS: Limits = {
  maxMessage: 128 * 1024 * 1024,
  consumerTimeout: 1_800_000,
  channelTick: 60_000,
};

/** Dead letters that are routed at one instant: so many in any case, and so many hops of each that a step begins with. */
const AT_ONCE = 1000;
const HOPS = 100;
const MOST = 100_000;
/** Before the next ones, ms. */
const BURIAL_PAUSE = 1000;

/** A message that waits outside every queue for its instant. */
export interface Delayed {
  readonly at: number;
  readonly order: number;
  readonly exchange: string;
  readonly routingKey: string;
  readonly message: Message;
}

/** One server. All of it is data of this object; nothing outside is read or touched. */
export class Rabbit {
  readonly limits: Limits;
  readonly connections: Map<number, Connection> = new Map<number, Connection>();
  readonly exchanges: Map<string, Exchange> = new Map<string, Exchange>();
  readonly queues: Map<string, Queue> = new Map<string, Queue>();
  readonly alarms: Set<string> = new Set<string>();
  readonly timers: Timers = new Timers();
  readonly delayed: Heap<Delayed> = new Heap<Delayed>((a, b) =>
    a.at < b.at || (a.at === b.at && a.order < b.order)
  );
  /** Dead messages that are routed at the end of the step; of too many the rest waits for {@link nextBurial}. */
  readonly deaths: Ring<Death> = new Ring<Death>();
  /** When the dead that are left are routed. */
  nextBurial: number = Infinity;
  /** The instant of the present step, ms since the epoch. */
  now = 0;
  /** The events of the present step. */
  out: RabbitEvent[] = [];
  /** Whether queues remember what they settled and have not written down: it is held for a crash, which few servers are asked for. */
  remembers = false;
  #names = 0;

  constructor(limits: Limits = RABBIT_LIMITS) {
    this.limits = limits;
    for (const type of ["direct", "topic", "fanout"] as const) {
      const name = `amq.${type}`;
      this.exchanges.set(name, new Exchange(name, type, { durable: true, autoDelete: false, arguments: {} }));
    }
  }

  emit(event: RabbitEvent): void {
    this.out.push(event);
  }

  /** A name that the server chooses. */
  name(prefix: string): string {
    return `${prefix}${++this.#names}`;
  }

  order(): number {
    return ++this.#names;
  }

  /** The queues that a message reaches; undefined when the exchange does not exist. */
  route(exchange: string, routingKey: string): readonly Queue[] | undefined {
    if (exchange !== "") return this.exchanges.get(exchange)?.route(routingKey);
    const queue = this.queues.get(routingKey);
    return queue === undefined ? [] : [queue];
  }

  /**
   * Routes the dead of this step, and those who die of it. RabbitMQ 3.10 goes on for ever where a message was rejected once and has no
   * time in any queue of a cycle; so does this, but not all of it at one instant: the rest, and who dies meanwhile, waits.
   */
  bury(): void {
    if (this.nextBurial > this.now && this.nextBurial !== Infinity) return;
    const { size } = this.deaths;
    const most = Math.max(size, Math.min(MOST, AT_ONCE + HOPS * size));
    for (let count = most; count > 0 && this.deaths.size > 0; count--) {
      const death = this.deaths.shift();
      if (death !== undefined) route(this, death);
    }
    this.nextBurial = this.deaths.size > 0 ? this.now + BURIAL_PAUSE : Infinity;
  }

  /** Deletes a queue with its messages and bindings; its consumers are told, its unacked deliveries may still be acked. */
  deleteQueue(queue: Queue): void {
    queue.deleted = true;
    this.queues.delete(queue.name);
    for (const binding of [...queue.bindings]) {
      binding.exchange.remove(binding);
      this.tidy(binding.exchange);
    }
    queue.ready.clear();
    for (const consumer of [...queue.turns]) {
      queue.turns.remove(consumer);
      consumer.channel.consumers.delete(consumer.tag);
      this.emit({
        is: "basic.cancel",
        connection: consumer.channel.connection.id,
        channel: consumer.channel.id,
        consumerTag: consumer.tag,
      });
    }
  }

  /** An auto-delete exchange goes with its last binding. */
  tidy(exchange: Exchange): void {
    if (exchange.autoDelete && !exchange.bound) this.exchanges.delete(exchange.name);
  }

  /** Takes a consumer out; an auto-delete queue goes with its last one. */
  removeConsumer(consumer: Consumer): void {
    const { queue, channel } = consumer;
    queue.turns.remove(consumer);
    channel.consumers.delete(consumer.tag);
    if (queue.exclusiveConsumer === consumer) queue.exclusiveConsumer = undefined;
    if (queue.turns.size > 0) return;
    if (queue.identity.autoDelete) this.deleteQueue(queue);
    else queue.use();
  }

  /** Ends channels at once: their consumers leave first, then each queue gets its unacked messages back in one step. */
  closeChannels(channels: readonly Channel[]): void {
    const returned = new Map<Queue, Entry[]>();
    for (const channel of channels) {
      channel.open = false;
      channel.connection.channels.delete(channel.id);
      for (const consumer of channel.consumers.values()) returned.set(consumer.queue, []);
    }
    for (const { queue, entry } of channels.flatMap((channel) => channel.releaseAll())) {
      const entries = returned.get(queue);
      if (entries === undefined) returned.set(queue, [entry]);
      else entries.push(entry);
    }
    for (const channel of channels) {
      for (const consumer of [...channel.consumers.values()]) this.removeConsumer(consumer);
    }
    for (const [queue, entries] of returned) {
      queue.giveBack(entries);
      queue.run();
    }
  }

  /** Ends a connection: its channels, and the queues that were its own. */
  closeConnection(connection: Connection): void {
    this.connections.delete(connection.id);
    this.closeChannels([...connection.channels.values()]);
    for (const queue of [...this.queues.values()]) {
      if (queue.identity.owner === connection.id) this.deleteQueue(queue);
    }
  }

  /** Answers a fault as the server does: the channel or the connection is closed. */
  fail(channel: Channel, fault: Fault): void {
    const { connection } = channel;
    if (fault.endsConnection) {
      this.emit({ is: "connection.close", connection: connection.id, code: fault.code, text: fault.text });
      this.closeConnection(connection);
      return;
    }
    connection.closing.add(channel.id);
    this.emit({
      is: "channel.close",
      connection: connection.id,
      channel: channel.id,
      code: fault.code,
      text: fault.text,
    });
    this.closeChannels([channel]);
  }
}
