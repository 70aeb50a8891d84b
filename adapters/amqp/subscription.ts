/**
 * A private queue that is only listened to: control, events, replies.
 *
 * @module
 */
import type { AMQPConsumer } from "@cloudamqp/amqp-client";
import type { BrokerEvent, Call, Inbox, Message, Subscription } from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { AsyncQueue } from "../../src/lib/queue.ts";
import type { Epoch } from "./epoch.ts";
import { channelError, sentenceOf } from "./errors.ts";
import { type Attached, keep } from "./keeper.ts";
import { within } from "./limit.ts";
import type { Link } from "./link.ts";
import { readMessage } from "./message.ts";
import type { Settings } from "./options.ts";

/** What a subscription is made of. */
export interface SubscriptionParts {
  readonly link: Link;
  readonly settings: Settings;
  readonly emit: (event: BrokerEvent) => void;
  readonly ended: (subscription: AmqpSubscription) => void;
}

const TAG = "celeriac-inbox";

/**
 * A subscription on RabbitMQ: an exclusive queue (which every version takes, 4.3 too), so that it goes with the connection and nobody else
 * can read it. While another connection holds a queue of that name (405), it tries again and again, and `observe` says so.
 */
export class AmqpSubscription implements Subscription {
  readonly #inbox: Inbox;
  readonly #parts: SubscriptionParts;
  readonly #messages: AsyncQueue<Message> = new AsyncQueue();
  readonly #ready: Deferred<void> = deferred();
  readonly #abort: AbortController = new AbortController();
  #leave: (() => Promise<unknown>) | undefined;
  #off: Deferred<Error | undefined> | undefined;
  #closed: Promise<void> | undefined;

  constructor(inbox: Inbox, parts: SubscriptionParts) {
    this.#inbox = inbox;
    this.#parts = parts;
    this.#ready.promise.catch(() => {});
    void keep({
      link: parts.link,
      settings: parts.settings,
      signal: this.#abort.signal,
      attach: (epoch) => this.#attach(epoch),
      failed: (error, retryIn) => {
        parts.emit({ is: "down", link: "consume", error, retryIn });
        return true;
      },
    });
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when the broker knows, or when the call is given up. */
  close(call?: Call): Promise<void> {
    const { platform, closeTimeout } = this.#parts.settings;
    return this.#closed ??= this.#close(call ?? { deadline: platform.clock.now() + closeTimeout });
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.#messages[Symbol.asyncIterator]();
  }

  async #attach(epoch: Epoch): Promise<Attached> {
    const off = deferred<Error | undefined>();
    this.#off = off;
    const channel = await epoch.channel((reason) => off.resolve(closedError(this.#inbox.queue, reason)));
    channel.deliver = (message) => this.#messages.push(readMessage(message));
    const { queue, exchange, routingKeys = [""], messageTtl, expires } = this.#inbox;
    const table = {
      ...(messageTtl === undefined ? {} : { "x-message-ttl": messageTtl }),
      ...(expires === undefined ? {} : { "x-expires": expires }),
    };
    const watcher = {
      setClosed: (error?: Error) => {
        // The end of the channel is told by the channel.
        if (error === undefined || channel.closed) return;
        off.resolve(closedError(queue, "its consumer was cancelled"));
        void epoch.rpc(channel.close()).catch(() => {});
      },
    } as unknown as AMQPConsumer;
    channel.consumers.set(TAG, watcher);
    const answers: Promise<unknown>[] = [
      channel.queueDeclare(queue, { durable: false, exclusive: true, autoDelete: true }, table),
    ];
    if (exchange !== undefined) {
      const { name, type, durable } = exchange;
      const { topology } = this.#parts.settings;
      const passive = topology === "passive";
      if (topology !== "leave") {
        answers.push(channel.exchangeDeclare(name, type, { passive, durable, autoDelete: false }));
      }
      for (const key of routingKeys) answers.push(channel.queueBind(queue, name, key));
    }
    answers.push(
      channel.basicConsume(queue, { tag: TAG, noAck: true }, () => {}).then((own) => {
        if (channel.consumers.get(TAG) === own) channel.consumers.set(TAG, watcher);
      }),
    );
    try {
      await epoch.rpc(Promise.all(answers));
    } catch (error) {
      const about = exchange !== undefined && String(error).includes(`exchange '${exchange.name}'`);
      throw channelError(
        about ? { kind: "exchange", name: exchange.name } : { kind: "queue", name: queue },
        error,
      );
    }
    this.#leave = () => epoch.rpc(channel.close());
    if (this.#abort.signal.aborted) await this.#leave();
    this.#ready.resolve();
    return { off: off.promise };
  }

  async #close(call: Call): Promise<void> {
    const { settings, ended } = this.#parts;
    const { clock } = settings.platform;
    this.#abort.abort();
    this.#messages.end();
    this.#off?.resolve(undefined);
    this.#ready.reject(
      new ConnectionError("subscription-closed", "The subscription was closed before it was ready."),
    );
    try {
      await within(this.#leave?.() ?? Promise.resolve(), call, clock, "closing a subscription");
    } catch {
      // The connection went, and the queue with it.
    }
    ended(this);
  }
}

function closedError(queue: string, reason: string): ConnectionError {
  const text = sentenceOf(reason)?.text ?? reason;
  return new ConnectionError("channel-closed", `The inbox ${JSON.stringify(queue)} came off: ${text}.`);
}
