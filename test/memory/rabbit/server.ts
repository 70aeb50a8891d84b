/**
 * A reducer at hand: commands without ceremony, and what each of them was answered.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";
import type { Command, Publish, QueueDeclare } from "../../../adapters/memory/rabbit/command.ts";
import type { Deliver, RabbitEvent } from "../../../adapters/memory/rabbit/event.ts";
import type { Queue } from "../../../adapters/memory/rabbit/queue.ts";
import type { Limits, Rabbit } from "../../../adapters/memory/rabbit/rabbit.ts";
import { advance, apply, createRabbit } from "../../../adapters/memory/rabbit/reducer.ts";

/** A message whose body is `text`. */
export function letter(text: string, properties: Readonly<Record<string, unknown>> = {}): Message {
  return {
    headers: {},
    properties,
    contentType: "",
    contentEncoding: "",
    body: new TextEncoder().encode(text),
  };
}

export function textOf({ message }: { readonly message: Message }): string {
  return new TextDecoder().decode(message.body);
}

/** Events as short words: "basic.deliver one", "channel.close 404". */
export function words(events: readonly RabbitEvent[]): readonly string[] {
  return events.map((event) => {
    if ("message" in event) return `${event.is} ${textOf(event)}`;
    if (event.is === "channel.close" || event.is === "connection.close") return `${event.is} ${event.code}`;
    if (event.is === "queue.declare-ok") return `${event.is} ${event.messageCount}/${event.consumerCount}`;
    if (event.is === "queue.purge-ok" || event.is === "queue.delete-ok") {
      return `${event.is} ${event.messageCount}`;
    }
    if ("consumerTag" in event) return `${event.is} ${event.consumerTag}`;
    if ("deliveryTag" in event) return `${event.is} ${event.deliveryTag}`;
    return event.is;
  });
}

type Options<C, K extends keyof C> = Partial<Omit<C, "do" | "connection" | "channel" | K>>;

/** One channel of a {@link Server}. */
export class At {
  readonly server: Server;
  readonly connection: number;
  readonly channel: number;

  constructor(server: Server, connection: number, channel: number) {
    this.server = server;
    this.connection = connection;
    this.channel = channel;
  }

  open(): this {
    this.server.send({ do: "channel.open", connection: this.connection, channel: this.channel });
    return this;
  }

  confirms(): this {
    this.server.send({ do: "confirm.select", connection: this.connection, channel: this.channel });
    return this;
  }

  close(): readonly RabbitEvent[] {
    return this.server.send({ do: "channel.close", connection: this.connection, channel: this.channel });
  }

  declare(queue: string, options: Options<QueueDeclare, "queue"> = {}): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "queue.declare", connection, channel, queue, ...options });
  }

  remove(queue: string, options: { ifUnused?: boolean; ifEmpty?: boolean } = {}): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "queue.delete", connection, channel, queue, ...options });
  }

  purge(queue: string): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "queue.purge", connection, channel, queue });
  }

  exchange(
    exchange: string,
    type: string,
    options: {
      passive?: boolean;
      durable?: boolean;
      autoDelete?: boolean;
      arguments?: Record<string, unknown>;
    } = {},
  ): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "exchange.declare", connection, channel, exchange, type, ...options });
  }

  removeExchange(exchange: string, ifUnused = false): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "exchange.delete", connection, channel, exchange, ifUnused });
  }

  bind(queue: string, exchange: string, routingKey = ""): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "queue.bind", connection, channel, queue, exchange, routingKey });
  }

  unbind(queue: string, exchange: string, routingKey = ""): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "queue.unbind", connection, channel, queue, exchange, routingKey });
  }

  /** To the queue of this name, or with `options` elsewhere. */
  publish(
    queue: string,
    text: string,
    options: Options<Publish, "message"> & { properties?: Record<string, unknown> } = {},
  ): readonly RabbitEvent[] {
    const { properties, ...rest } = options;
    const { connection, channel } = this;
    const message = letter(text, properties);
    return this.server.send({
      do: "basic.publish",
      connection,
      channel,
      exchange: "",
      routingKey: queue,
      message,
      ...rest,
    });
  }

  qos(prefetch: number): readonly RabbitEvent[] {
    return this.server.send({
      do: "basic.qos",
      connection: this.connection,
      channel: this.channel,
      prefetch,
    });
  }

  consume(
    queue: string,
    consumerTag: string,
    options: { noAck?: boolean; exclusive?: boolean; arguments?: Record<string, unknown> } = {},
  ): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "basic.consume", connection, channel, queue, consumerTag, ...options });
  }

  cancel(consumerTag: string): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "basic.cancel", connection, channel, consumerTag });
  }

  get(queue: string, noAck = false): readonly RabbitEvent[] {
    return this.server.send({
      do: "basic.get",
      connection: this.connection,
      channel: this.channel,
      queue,
      noAck,
    });
  }

  ack(deliveryTag: number, multiple = false): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "basic.ack", connection, channel, deliveryTag, multiple });
  }

  nack(deliveryTag: number, multiple = false, requeue = true): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "basic.nack", connection, channel, deliveryTag, multiple, requeue });
  }

  recover(requeue = true): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "basic.recover", connection, channel, requeue });
  }

  reject(deliveryTag: number, requeue = false): readonly RabbitEvent[] {
    const { connection, channel } = this;
    return this.server.send({ do: "basic.reject", connection, channel, deliveryTag, requeue });
  }

  /** The unsettled delivery tags, lowest first. */
  get tags(): readonly number[] {
    return this.#outstanding().map(({ tag }) => tag);
  }

  #outstanding() {
    const channel = this.server.rabbit.connections.get(this.connection)?.channels.get(this.channel);
    return channel === undefined ? [] : [...channel.outstanding()];
  }

  get isOpen(): boolean {
    return this.server.rabbit.connections.get(this.connection)?.channels.has(this.channel) === true;
  }
}

/** A reducer and its present time. */
export class Server {
  readonly rabbit: Rabbit;
  /** All events so far. */
  readonly history: RabbitEvent[] = [];
  now = 1_000_000;
  #connections = 0;

  constructor(limits: Partial<Limits> = {}) {
    this.rabbit = createRabbit(limits);
  }

  send(command: Command): readonly RabbitEvent[] {
    const events = apply(this.rabbit, command, this.now);
    this.history.push(...events);
    return events;
  }

  /** Lets `ms` pass. */
  wait(ms: number): readonly RabbitEvent[] {
    this.now += ms;
    const events = advance(this.rabbit, this.now);
    this.history.push(...events);
    return events;
  }

  /** A fresh connection. */
  connect(): number {
    const connection = ++this.#connections;
    this.send({ do: "connection.open", connection });
    return connection;
  }

  /** An open channel, on a fresh connection unless told otherwise. */
  channel(connection: number = this.connect(), channel = 1): At {
    return new At(this, connection, channel).open();
  }

  queue(name: string): Queue {
    const queue = this.rabbit.queues.get(name);
    if (queue === undefined) throw new Error(`no queue ${name}`);
    return queue;
  }

  /** Takes all ready messages out, in order. */
  drain(name: string): readonly string[] {
    const at = this.channel();
    const texts: string[] = [];
    for (;;) {
      const [event] = at.get(name, true);
      if (event?.is !== "basic.get-ok") return texts;
      texts.push(textOf(event));
    }
  }
}

export function deliveries(events: readonly RabbitEvent[]): readonly Deliver[] {
  return events.filter((event) => event.is === "basic.deliver");
}
