/**
 * Runs the same steps on a real RabbitMQ through the bare client.
 *
 * @module
 */
import type { AMQPChannel, AMQPMessage } from "@cloudamqp/amqp-client";
import { pause } from "../../support/wait.ts";
import { slotsOf } from "./plan.ts";
import { codeOf, type RealServer } from "./server.ts";
import { connectionOf, type ConsumeStep, type PublishStep, SLOTS, type Step } from "./step.ts";
import { gotText, messageText, returnText, Trace } from "./trace.ts";

function contentOf(message: AMQPMessage) {
  return { headers: message.properties.headers, body: message.body as Uint8Array | null };
}

/** A question without consequences: what was sent before it has been read. */
async function roundTrip(channel: AMQPChannel): Promise<void> {
  await channel.exchangeDeclare("amq.direct", "direct", { passive: true });
}

/** One run on a real server. */
export class RealRun {
  readonly traces: readonly Trace[] = Array.from({ length: SLOTS }, () => new Trace());
  readonly #server: RealServer;
  readonly #channels: (AMQPChannel | undefined)[] = [];
  readonly #confirming: WeakSet<AMQPChannel> = new WeakSet<AMQPChannel>();
  #wake: (() => void) | undefined;

  constructor(server: RealServer) {
    this.#server = server;
  }

  async start(): Promise<void> {
    await Promise.all([this.#openPair(0), this.#openPair(2)]);
  }

  async end(): Promise<void> {
    const channels = this.#channels.splice(0);
    await Promise.all(channels.map(async (channel) => {
      if (channel?.closed === false) await channel.close().catch(() => {});
    }));
  }

  /** Resolves with the next word of the server, after `ms` at the latest. */
  async news(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }

  async run(step: Step): Promise<void> {
    if (step.do === "open") return await this.#open(step.slot);
    if (step.do === "wait") return await pause(step.ms);
    if (step.do === "closeConnection" || step.do === "drop") return await this.#leave(step);
    const channel = this.#channels[step.slot];
    if (channel === undefined) throw new Error(`slot ${step.slot} is not open`);
    const { replies } = this.traces[step.slot] as Trace;
    try {
      const reply = await this.#step(channel, step);
      if (reply !== undefined) replies.push(reply);
      // What has no answer of its own may still be on its way when another connection's next step arrives.
      else if (!channel.closed) await roundTrip(channel);
    } catch {
      // The close itself is in the trace.
    }
  }

  /** Waits until every open channel has said what it had to say. */
  async flush(): Promise<void> {
    await Promise.all(this.#channels.map(async (channel) => {
      if (channel?.closed === false) await roundTrip(channel).catch(() => {});
    }));
  }

  async #leave(step: { readonly do: string; readonly slot: number }): Promise<void> {
    // What may still arrive there is nobody's any more.
    for (const slot of slotsOf(step.slot)) this.#channels[slot] = undefined;
    const connection = connectionOf(step.slot);
    if (step.do === "drop") this.#server.dropClient(connection);
    else await this.#server.closeClient(connection);
  }

  /** One after the other: they share a connection, which may have to be made. */
  async #openPair(slot: number): Promise<void> {
    await this.#open(slot);
    await this.#open(slot + 1);
  }

  async #open(slot: number): Promise<void> {
    const client = await this.#server.client(connectionOf(slot));
    const channel = await client.channel();
    const trace = this.traces[slot] as Trace;
    this.#channels[slot] = channel;
    const told = (list: string[], text: string): void => {
      if (this.#channels[slot] !== channel) return;
      list.push(text);
      this.#wake?.();
    };
    channel.onerror = () => {};
    channel.onReturn = (message) => {
      const { replyCode = 0, exchange, routingKey } = message;
      told(trace.returns, returnText({ code: replyCode, exchange, routingKey }, contentOf(message)));
    };
    channel.deliver = (message: AMQPMessage) => {
      told(trace.deliveries, `${message.consumerTag} ${messageText(message, contentOf(message))}`);
    };
    const setClosed = channel.setClosed.bind(channel);
    channel.setClosed = (error?: Error) => {
      if (error !== undefined && !channel.closed) told(trace.closes, closeText(error));
      setClosed(error);
    };
    if (slot % 2 === 0) await this.#confirm(channel);
  }

  async #step(channel: AMQPChannel, step: Step): Promise<string | undefined> {
    switch (step.do) {
      case "declare": {
        const { passive, durable, exclusive, autoDelete, arguments: table } = step;
        const options = { passive, durable, exclusive, autoDelete };
        const { messageCount, consumerCount } = await channel.queueDeclare(step.queue, options, table);
        return `declared ${messageCount}/${consumerCount}`;
      }
      case "delete":
        return `gone ${(await channel.queueDelete(step.queue, step)).messageCount}`;
      case "purge":
        return `gone ${(await channel.queuePurge(step.queue)).messageCount}`;
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
      case "publish":
        return this.#publish(channel, step);
      case "qos":
        await channel.basicQos(step.prefetch);
        return "ok";
      case "consume":
        return await this.#consume(channel, step);
      case "cancel":
        await channel.basicCancel(step.tag);
        return "ok";
      case "get": {
        const got = await channel.basicGet(step.queue, { noAck: step.noAck });
        return got === null
          ? "empty"
          : gotText(got as AMQPMessage & { messageCount: number }, contentOf(got));
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
      case "recover":
        await channel.basicRecover(true);
        return "ok";
      case "confirm":
        await this.#confirm(channel);
        return undefined;
      case "close":
        await channel.close();
        return undefined;
      default:
        return undefined;
    }
  }

  /** Again on a channel that confirms already, the client would count from 1 anew. */
  async #confirm(channel: AMQPChannel): Promise<void> {
    if (this.#confirming.has(channel)) return;
    this.#confirming.add(channel);
    await channel.confirmSelect();
  }

  #publish(channel: AMQPChannel, step: PublishStep): undefined {
    const { exchange, routingKey, mandatory, priority, expiration, persistent } = step;
    const properties = {
      ...(priority === undefined ? {} : { priority }),
      ...(expiration === undefined ? {} : { expiration }),
      ...(persistent === true ? { deliveryMode: 2 } : {}),
    };
    const { confirms } = this.traces[step.slot] as Trace;
    const confirmed = this.#confirming.has(channel);
    const told = (body: string, verdict: boolean): void => {
      if (!confirmed) return;
      confirms.push(`${body} ${verdict}`);
      this.#wake?.();
    };
    for (const body of step.bodies) {
      channel.basicPublish(exchange, routingKey, body, properties, mandatory).then(
        () => told(body, true),
        (error: unknown) => {
          // A closed channel rejects too; that is no verdict.
          if (/rejected/i.test(String(error))) told(body, false);
        },
      );
    }
  }

  async #consume(channel: AMQPChannel, step: ConsumeStep): Promise<string> {
    const { queue, tag, noAck, exclusive, priority } = step;
    const args = priority === undefined ? {} : { "x-priority": priority };
    const { cancels } = this.traces[step.slot] as Trace;
    const consumer = await channel.basicConsume(queue, { tag, noAck, exclusive, args }, () => {});
    const setClosed = consumer.setClosed.bind(consumer);
    consumer.setClosed = (error?: Error) => {
      if (error !== undefined && !channel.closed) {
        cancels.push(tag);
        this.#wake?.();
      }
      setClosed(error);
    };
    return "ok";
  }
}

/** "channel 406 PRECONDITION_FAILED - …"; of a connection the code alone, since its text names the channel. */
function closeText({ message }: Error): string {
  const code = codeOf(message);
  if (/^connection closed/i.test(message)) return `connection ${code}`;
  return `channel ${code} ${message.replace(/^channel \d+ closed: /, "").replace(/ \(\d{3}\)$/, "")}`;
}
