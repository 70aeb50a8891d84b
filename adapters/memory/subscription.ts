/**
 * A subscription: a private queue, bound and read without acks.
 *
 * @module
 */
import type { Inbox, Message, Subscription } from "../../src/broker.ts";
import { type CeleriacError, ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import type { Timer } from "../../src/lib/port.ts";
import { Feed } from "./feed.ts";
import { copyMessage } from "./message.ts";
import type { BareCommand, ClientChannel, Session } from "./session.ts";

/** What a subscription needs of its broker. */
export interface SubscriptionHost {
  session(): Promise<Session>;
  onEnded(subscription: MemorySubscription): void;
  /** Calls `retry` in `ms`. */
  after(ms: number, retry: () => void): Timer;
  /** The server refused it; it is asked again `retryIn` ms later. */
  onRefused(error: Error, retryIn: number): void;
}

/** How long after a refusal the server is asked again, ms: another link may hold a queue of that name. */
const RETRY = 50;

/** As Celery declares its mailboxes, but exclusive: RabbitMQ 4.3 takes no transient queue that is not. */
function topology(inbox: Inbox): readonly BareCommand[] {
  const { queue, exchange, routingKeys = [""], messageTtl, expires } = inbox;
  const declare: BareCommand = {
    do: "queue.declare",
    queue,
    exclusive: true,
    autoDelete: true,
    arguments: {
      ...(messageTtl === undefined ? {} : { "x-message-ttl": messageTtl }),
      ...(expires === undefined ? {} : { "x-expires": expires }),
    },
  };
  if (exchange === undefined) return [declare];
  const { name, type, durable } = exchange;
  return [
    { do: "exchange.declare", exchange: name, type, durable },
    declare,
    ...routingKeys.map((routingKey): BareCommand => ({
      do: "queue.bind",
      queue,
      exchange: name,
      routingKey,
    })),
  ];
}

/** A subscription; see the contract in `src/broker.ts`. */
export class MemorySubscription implements Subscription {
  readonly #host: SubscriptionHost;
  readonly #inbox: Inbox;
  readonly #feed: Feed<Message> = new Feed<Message>();
  readonly #ready: Deferred<void> = deferred<void>();
  #channel: ClientChannel | undefined;
  #closing: Promise<void> | undefined;
  #retry: Timer | undefined;

  constructor(host: SubscriptionHost, inbox: Inbox) {
    this.#host = host;
    this.#inbox = inbox;
    // Who only iterates learns of a failure there.
    this.#ready.promise.catch(() => undefined);
    this.attach();
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Listens on the link as it stands. */
  attach(): void {
    if (this.#channel !== undefined) return;
    this.#listen().catch((error: unknown) => {
      if (this.#feed.ended || (error as CeleriacError).code === "broker-lost") return;
      if (error instanceof ConfigurationError) {
        this.#retry = this.#host.after(RETRY, () => this.attach());
        return this.#host.onRefused(error, RETRY);
      }
      this.#ready.reject(error);
      this.#feed.end(error);
      this.#host.onEnded(this);
    });
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The broker closes; the queue goes with the link. */
  end(): void {
    this.#over();
    this.#closing ??= Promise.resolve();
  }

  #over(): void {
    this.#retry?.cancel();
    this.#feed.end();
    const early = "The subscription was closed before it was ready.";
    this.#ready.reject(new ConnectionError("subscription-closed", early));
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.#feed[Symbol.asyncIterator]();
  }

  async #listen(): Promise<void> {
    let session = await this.#host.session();
    while (!session.alive && !this.#feed.ended) session = await this.#host.session();
    if (this.#feed.ended || this.#channel !== undefined) return;
    const channel = session.channel({
      onDeliver: (event) => this.#feed.push(copyMessage(event.message)),
      // The queue was deleted under us: it is made again.
      onCancel: () => void channel.close().then(() => this.attach()),
      onClosed: () => this.#channel = undefined,
    });
    this.#channel = channel;
    const { queue } = this.#inbox;
    const consume: BareCommand = { do: "basic.consume", queue, consumerTag: "inbox", noAck: true };
    await Promise.all([...topology(this.#inbox), consume].map((command) => channel.ask(command)));
    this.#ready.resolve();
  }

  async #close(): Promise<void> {
    this.#over();
    await this.#channel?.close();
    this.#host.onEnded(this);
  }
}
