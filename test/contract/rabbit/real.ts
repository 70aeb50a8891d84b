/**
 * Runs the same steps on a real RabbitMQ through the bare client.
 *
 * @module
 */
import { type AMQPChannel, AMQPClient, type AMQPMessage } from "@cloudamqp/amqp-client";
import { pause, until } from "../../support/wait.ts";
import { connectionOf, type Names, SLOTS, type Step } from "./plan.ts";
import { deathsOf, Trace } from "./trace.ts";

function textOf(body: Uint8Array | null | undefined): string {
  return new TextDecoder().decode(body ?? new Uint8Array());
}

function codeOf(error: unknown): string {
  return /\((\d{3})\)/.exec(String(error))?.[1] ?? String(error);
}

/** Connections to a real server that outlive a run. */
export class RealServer implements AsyncDisposable {
  readonly #url: string;
  readonly #clients: (AMQPClient | undefined)[] = [];
  #control: AMQPClient | undefined;
  readonly #opening: Map<number, Promise<unknown>> = new Map<number, Promise<unknown>>();
  readonly #askers: Map<number, AMQPChannel> = new Map<number, AMQPChannel>();

  constructor(url: string) {
    this.#url = url;
  }

  async client(connection: number): Promise<AMQPClient> {
    const standing = this.#clients[connection];
    if (standing !== undefined && !standing.closed) return standing;
    const client = new AMQPClient(this.#url);
    // Errors are looked at where they are asked for.
    client.onerror = () => {};
    client.logger = undefined;
    await client.connect();
    this.#clients[connection] = client;
    return client;
  }

  async closeClient(connection: number): Promise<void> {
    await this.#clients[connection]?.close().catch(() => {});
    this.#clients[connection] = undefined;
  }

  /** A channel for questions, on a connection of its own or on one of the run's. */
  #asking(connection: number | undefined): Promise<AMQPChannel> {
    const key = connection ?? -1;
    // One at a time, or two questions would open two channels.
    const asked = (this.#opening.get(key) ?? Promise.resolve()).then(() => this.#ask(connection));
    this.#opening.set(key, asked.catch(() => undefined));
    return asked;
  }

  async #ask(connection: number | undefined): Promise<AMQPChannel> {
    const key = connection ?? -1;
    const standing = this.#askers.get(key);
    if (standing !== undefined && !standing.closed) return standing;
    if (connection === undefined && (this.#control === undefined || this.#control.closed)) {
      this.#control = new AMQPClient(this.#url);
      this.#control.onerror = () => {};
      await this.#control.connect();
    }
    const client = connection === undefined ? this.#control as AMQPClient : await this.client(connection);
    const channel = await client.channel();
    channel.onerror = () => {};
    this.#askers.set(key, channel);
    return channel;
  }

  /** Ready messages and consumers of each queue, asked by its owner. */
  async counts(
    queues: readonly (readonly [string, number | undefined])[],
  ): Promise<Readonly<Record<string, string>>> {
    const asked = queues.map(async ([queue, owner]) => {
      try {
        const { messageCount, consumerCount } = await (await this.#asking(owner)).queueDeclare(queue, {
          passive: true,
        });
        return [queue, `${messageCount}/${consumerCount}`] as const;
      } catch (error) {
        return [queue, `error ${codeOf(error)}`] as const;
      }
    });
    return Object.fromEntries(await Promise.all(asked));
  }

  /** Deletes what a run may have left; what belongs to a connection of its own goes with that. */
  async clean(names: Names): Promise<void> {
    for (const connection of [0, 1]) {
      for (const queue of names.queues) {
        await (await this.#asking(connection)).queueDelete(queue).catch(() => {});
      }
    }
    for (const queue of names.queues) {
      await (await this.#asking(undefined)).queueDelete(queue).catch(() => {});
    }
    for (const exchange of names.exchanges) {
      await (await this.#asking(undefined)).exchangeDelete(exchange).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [...this.#clients, this.#control]) await client?.close().catch(() => {});
  }
}

/** One run on it. */
export class RealRun {
  readonly traces: readonly Trace[] = Array.from({ length: SLOTS }, () => new Trace());
  readonly #server: RealServer;
  readonly #channels: (AMQPChannel | undefined)[] = [];

  constructor(server: RealServer) {
    this.#server = server;
  }

  async start(): Promise<void> {
    for (let slot = 0; slot < SLOTS; slot++) await this.#open(slot);
  }

  async end(): Promise<void> {
    for (const channel of this.#channels) {
      if (channel !== undefined && !channel.closed) await channel.close().catch(() => {});
    }
  }

  /** Waits until no channel of a closed connection looks open. */
  async settled(): Promise<void> {
    await until(
      () =>
        this.#channels.every((channel) =>
          channel === undefined || channel.closed || !channel.connection.closed
        ),
      {
        what: "the end of the channels",
        deadline: 2000,
      },
    ).catch(() => undefined);
  }

  async #open(slot: number): Promise<void> {
    const client = await this.#server.client(connectionOf(slot));
    const channel = await client.channel();
    const trace = this.traces[slot] as Trace;
    this.#channels[slot] = channel;
    channel.onerror = () => {};
    channel.onReturn = (message) => {
      trace.returns.push(
        `${message.replyCode} ${message.exchange}|${message.routingKey}|${textOf(message.body)}`,
      );
    };
    channel.deliver = (message: AMQPMessage) => {
      trace.deliveries.push(
        `${message.consumerTag} #${message.deliveryTag} ${message.redelivered} ${message.exchange}|${message.routingKey}|` +
          textOf(message.body) + deathsOf(message.properties.headers),
      );
    };
    const setClosed = channel.setClosed.bind(channel);
    let told = false;
    channel.setClosed = (error?: Error) => {
      const current = this.#channels[slot] === channel;
      if (error !== undefined && current && !told) {
        told = true;
        const scope = /connection closed/i.test(error.message) ? "connection" : "channel";
        trace.closes.push(`${scope} ${codeOf(error)}`);
      }
      setClosed(error);
    };
    if (slot % 2 === 0) await channel.confirmSelect();
  }

  async run(step: Step): Promise<void> {
    const trace = this.traces[step.slot] as Trace;
    if (step.do === "open") return await this.#open(step.slot);
    if (step.do === "wait") return await pause(step.ms);
    if (step.do === "closeConnection") return await this.#server.closeClient(connectionOf(step.slot));
    const channel = this.#channels[step.slot] as AMQPChannel;
    try {
      const reply = await this.#step(channel, step, trace);
      if (reply !== undefined) trace.replies.push(reply);
      // What has no answer of its own may still be on its way when another connection's next step arrives.
      else if (!channel.closed) await channel.exchangeDeclare("amq.direct", "direct", { passive: true });
    } catch {
      // The close itself is in the trace.
    }
  }

  async #step(channel: AMQPChannel, step: Step, trace: Trace): Promise<string | undefined> {
    switch (step.do) {
      case "declare": {
        const { passive, durable, exclusive, autoDelete } = step;
        const ok = await channel.queueDeclare(
          step.queue,
          { passive, durable, exclusive, autoDelete },
          step.arguments,
        );
        return `declared ${ok.messageCount}/${ok.consumerCount}`;
      }
      case "delete": {
        const { messageCount } = await channel.queueDelete(step.queue, step);
        return `gone ${messageCount}`;
      }
      case "purge": {
        const { messageCount } = await channel.queuePurge(step.queue);
        return `gone ${messageCount}`;
      }
      case "exchange":
        await channel.exchangeDeclare(step.exchange, step.type, step);
        return "ok";
      case "deleteExchange":
        await channel.exchangeDelete(step.exchange, step);
        return "ok";
      case "bind":
        await channel.queueBind(step.queue, step.exchange, step.routingKey);
        return "ok";
      case "unbind":
        await channel.queueUnbind(step.queue, step.exchange, step.routingKey);
        return "ok";
      case "publish": {
        const properties = {
          ...(step.priority === undefined ? {} : { priority: step.priority }),
          ...(step.expiration === undefined ? {} : { expiration: step.expiration }),
        };
        const sent = channel.basicPublish(
          step.exchange,
          step.routingKey,
          step.body,
          properties,
          step.mandatory,
        );
        if (step.slot % 2 === 1) await sent;
        else {
          sent.then(
            () => trace.confirms.push(`${step.body} true`),
            (error: unknown) => {
              // A closed channel rejects too; that is no verdict.
              if (/rejected/i.test(String(error))) trace.confirms.push(`${step.body} false`);
            },
          );
        }
        return undefined;
      }
      case "qos":
        await channel.basicQos(step.prefetch);
        return "ok";
      case "consume": {
        const { tag, noAck, exclusive } = step;
        const args = step.priority === undefined ? {} : { "x-priority": step.priority };
        const consumer = await channel.basicConsume(step.queue, { tag, noAck, exclusive, args }, () => {});
        const setClosed = consumer.setClosed.bind(consumer);
        consumer.setClosed = (error?: Error) => {
          if (error !== undefined && !channel.closed) trace.cancels.push(tag);
          setClosed(error);
        };
        return "ok";
      }
      case "cancel":
        await channel.basicCancel(step.tag);
        return "ok";
      case "get": {
        const got = await channel.basicGet(step.queue, { noAck: step.noAck });
        if (got === null) return "empty";
        return `got #${got.deliveryTag} ${got.redelivered} ${got.exchange}|${got.routingKey}|` +
          `${textOf(got.body)}${deathsOf(got.properties.headers)} left ${got.messageCount}`;
      }
      case "ack":
        await channel.basicAck(step.deliveryTag, step.multiple);
        return undefined;
      case "nack":
        await channel.basicNack(step.deliveryTag, step.requeue, step.multiple);
        return undefined;
      case "reject":
        await channel.basicReject(step.deliveryTag, step.requeue);
        return undefined;
      case "close":
        await channel.close();
        return undefined;
      default:
        return undefined;
    }
  }
}
