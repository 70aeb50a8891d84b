/**
 * What every test of a broker needs: broker objects of its own, fresh names, and readers that can be asked for the next delivery in time.
 *
 * @module
 */
import type {
  Broker,
  BrokerEvent,
  Consumer,
  Delivery,
  Destination,
  ExchangeEntity,
  ExchangeType,
  Outgoing,
  QueueEntity,
} from "../../broker.ts";
import { systemPlatform } from "../../lib/platform.ts";
import { until, type UntilOptions } from "../wait.ts";
import type { Check } from "./check.ts";
import { letter } from "./letter.ts";
import { Reader } from "./reader.ts";
import type { BrokerSubject } from "./subject.ts";

/** A consumer and the reader on it. */
export interface Reading {
  readonly consumer: Consumer;
  readonly reader: Reader<Delivery>;
}

/** One test's own brokers, queues and exchanges. */
export class Bench {
  readonly subject: BrokerSubject;
  readonly check: Check;
  readonly #brokers: Broker[] = [];
  readonly #queues: string[] = [];

  constructor(subject: BrokerSubject, check: Check) {
    this.subject = subject;
    this.check = check;
  }

  /** How long an awaited thing may take, ms. */
  get patience(): number {
    return this.subject.patience ?? 10_000;
  }

  /** Now, ms since the epoch. */
  get now(): number {
    return systemPlatform.clock.now();
  }

  /** A monotonic time, ms. */
  get elapsed(): number {
    return systemPlatform.clock.elapsed();
  }

  /** A broker that the bench closes. */
  async broker(): Promise<Broker> {
    const broker = await this.subject.make();
    this.#brokers.push(broker);
    return broker;
  }

  /** A name that no other test has. */
  name(kind: string): string {
    return `celeriac.${kind}.${systemPlatform.ids.uuid()}`;
  }

  /** The entity of a fresh queue. */
  queueEntity(more: Readonly<Record<string, unknown>> = {}): QueueEntity {
    const name = this.name("queue");
    this.#queues.push(name);
    const expiry = this.subject.queueArguments ?? { "x-expires": 120_000 };
    return {
      kind: "queue",
      name,
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: { ...expiry, ...more },
    };
  }

  /** A fresh exchange, which goes with its last binding. */
  exchangeEntity(type: ExchangeType): ExchangeEntity {
    return { kind: "exchange", name: this.name("exchange"), type, durable: false, autoDelete: true };
  }

  /** Declares a fresh queue and gives its name. */
  async queue(broker: Broker, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const entity = this.queueEntity(more);
    await broker.declare([entity]);
    return entity.name;
  }

  /** A letter on its way to a queue, or to an exchange. */
  outgoing(to: string | Destination, text: string, properties?: Readonly<Record<string, unknown>>): Outgoing {
    const destination = typeof to === "string" ? { exchange: "", routingKey: to } : to;
    return { message: letter(text, properties), to: destination, mustRoute: this.subject.features.mustRoute };
  }

  /** Publishes texts in one batch and demands that each is confirmed. */
  async publish(broker: Broker, to: string | Destination, texts: readonly string[]): Promise<void> {
    const verdicts = await broker.publish(texts.map((text) => this.outgoing(to, text)));
    this.check.equal(verdicts, texts.map(() => ({ is: "confirmed" })), "the verdicts of a publish");
  }

  /** Whether a message to the queue finds it, asked without leaving one there: its time to live is over when it comes. */
  async exists(broker: Broker, queue: string): Promise<boolean> {
    const [verdict] = await broker.publish([{
      ...this.outgoing(queue, "", { expiration: "0" }),
      mustRoute: true,
    }]);
    return verdict?.is === "confirmed";
  }

  /** What the broker tells, from now on. */
  events(broker: Broker): BrokerEvent[] {
    const events: BrokerEvent[] = [];
    broker.observe((event) => events.push(event));
    return events;
  }

  /** Publishes one text until it is confirmed. */
  async publishAtLast(broker: Broker, queue: string, text: string): Promise<void> {
    await this.until(
      async () => (await broker.publish([this.outgoing(queue, text)]))[0]?.is === "confirmed",
      {
        what: "a confirmed publish",
      },
    );
  }

  /** Reads step by step, with the subject's patience. */
  reader<T>(source: AsyncIterable<T>): Reader<T> {
    return new Reader(source, this.patience);
  }

  /** A consumer of `queues` and the reader on it. */
  consume(broker: Broker, queues: readonly string[], prefetch = 10): Reading {
    const consumer = this.subject.consume?.(queues) ?? broker.consume(queues, { prefetch });
    return { consumer, reader: this.reader(consumer) };
  }

  /** A fresh queue that holds `texts`, and a consumer of it. */
  async filled(
    texts: readonly string[],
    prefetch = 10,
  ): Promise<Reading & { readonly broker: Broker; readonly queue: string }> {
    const broker = await this.broker();
    const queue = await this.queue(broker);
    if (texts.length > 0) await this.publish(broker, queue, texts);
    return { broker, queue, ...this.consume(broker, [queue], prefetch) };
  }

  /** Settles each as done. */
  async ack(...deliveries: readonly (Delivery | undefined)[]): Promise<void> {
    for (const delivery of deliveries) {
      this.check.equal(await delivery?.settle({ as: "ack" }), "settled", "the word of an ack");
    }
  }

  /** Waits for a condition, with the subject's patience. */
  until<T>(condition: () => T | Promise<T>, options: UntilOptions): ReturnType<typeof until<T>> {
    return until(condition, { deadline: this.patience, ...options });
  }

  /** Waits until `count` ready messages are in the queue. */
  async counts(broker: Broker, queue: string, count: number): Promise<void> {
    let seen = -1;
    await this.until(async () => (seen = await broker.count(queue)) === count, {
      what: `${count} ready messages in the queue`,
      seen: () => String(seen),
    });
  }

  /** Heals the network, empties the queues, closes the brokers. */
  async clear(): Promise<void> {
    await this.subject.link?.thaw();
    const [first] = this.#brokers;
    for (const broker of this.#brokers.slice(1)) await broker.close();
    if (first === undefined) return;
    for (const queue of this.#queues) {
      // The link may have been cut a moment ago, and the question lost with it.
      await this.until(async () => await first.purge(queue) >= 0, { what: "an empty queue" });
    }
    await first.close();
  }
}

/** What the tests of one part of the contract are given. */
export interface Suite<S extends BrokerSubject = BrokerSubject> {
  readonly subject: S;
  readonly check: Check;
  /** Declares a test; its bench is cleared when it ends. */
  test(name: string, run: (bench: Bench) => Promise<void>): void;
}
