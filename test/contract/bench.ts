/**
 * What every contract test needs: a broker of its own, fresh names, and an inbox that can be asked for the next delivery in time.
 *
 * @module
 */
import type {
  Broker,
  BrokerFeatures,
  Consumer,
  Delivery,
  Destination,
  Entity,
  Message,
  Outgoing,
  Verdict,
} from "../../src/broker.ts";
import { until } from "../support/wait.ts";

/** How a test may disturb the network between broker object and server. */
export interface LinkFaults {
  /** Breaks every open link, as a router that dies would; new ones may be opened at once. */
  cut(): void | Promise<void>;
  /** From now on nothing passes in either direction, and nobody is told. */
  freeze(): void | Promise<void>;
  /** Ends `freeze`. */
  thaw(): void | Promise<void>;
}

/** A broker under test. */
export interface BrokerSubject {
  /** A fresh broker object; all of them speak to one and the same server. */
  make(): Broker | Promise<Broker>;
  /** The whole feature record that the adapter is expected to declare. */
  readonly features: BrokerFeatures;
  /**
   * Arguments for the queues that the suite declares, so that they go away by themselves.
   *
   * @default { "x-expires": 120000 }
   */
  readonly queueArguments?: Readonly<Record<string, unknown>>;
  /** Without it the tests of lost links are not part of the run. */
  readonly link?: LinkFaults;
  /**
   * Reads what was published, for a broker that only publishes: of the suites topology and publish run then, without what consumes.
   *
   * @default the broker's own `consume`
   */
  readonly consume?: (queues: readonly string[]) => Consumer;
  /**
   * How messages find their queues. kombu's way on Redis is not AMQP's: a queue comes to be with its first message, "*" of a topic takes
   * dots and "#" does not take the dot before it, a fanout message reaches the listeners of the moment instead of queues.
   *
   * @default "amqp"
   */
  readonly routing?: "amqp" | "kombu";
  /**
   * How long an awaited thing may take, ms.
   *
   * @default 10000
   */
  readonly patience?: number;
}

/** A message like those of Celery, with `text` as its body. */
export function letter(text: string, properties: Readonly<Record<string, unknown>> = {}): Message {
  return {
    headers: { lang: "py", task: "tests.letter" },
    properties: { delivery_mode: 2, ...properties },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: new TextEncoder().encode(text),
  };
}

/** The body as text. */
export function textOf(message: Message): string {
  return new TextDecoder().decode(message.body);
}

/** Reads an iteration step by step, without ever asking for more than was asked of it. */
export class Inbox<T> {
  readonly #iterator: AsyncIterator<T>;
  readonly #patience: number;
  #pending: Promise<IteratorResult<T>> | undefined;

  constructor(source: AsyncIterable<T>, patience: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#patience = patience;
  }

  /** Asks for the next one, if nobody asked yet; a look, not a wait. */
  ask(): Promise<IteratorResult<T>> {
    this.#pending ??= this.#iterator.next();
    return this.#pending;
  }

  async #step(what: string): Promise<IteratorResult<T>> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${this.#patience} ms: ${what}`)), this.#patience);
    });
    try {
      return await Promise.race([this.ask(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async next(): Promise<T> {
    const step = await this.#step("the next one");
    this.#pending = undefined;
    if (step.done === true) throw new Error("the iteration ended instead of giving the next one");
    return step.value;
  }

  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** Waits for the end of the iteration. */
  async ended(): Promise<void> {
    const step = await this.#step("the end of the iteration");
    if (step.done !== true) throw new Error("the iteration gave something instead of ending");
  }

  /** Whether nothing comes for `ms`: only after a sign that whatever could come had its time. */
  async quiet(ms = 50): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<true>((resolve) => {
      timer = setTimeout(() => resolve(true), ms);
    });
    const word = await Promise.race([this.ask().then(() => false), silence]);
    clearTimeout(timer);
    return word;
  }
}

/** One test's own brokers, queues and exchanges. */
export class Bench implements AsyncDisposable {
  readonly subject: BrokerSubject;
  readonly patience: number;
  readonly #brokers: Broker[] = [];
  readonly #queues: string[] = [];

  constructor(subject: BrokerSubject) {
    this.subject = subject;
    this.patience = subject.patience ?? 10_000;
  }

  /** A broker that the bench closes. */
  async broker(): Promise<Broker> {
    const broker = await this.subject.make();
    this.#brokers.push(broker);
    return broker;
  }

  /** A name that no other test has. */
  name(kind: string): string {
    return `celeriac.${kind}.${crypto.randomUUID()}`;
  }

  /** The entity of a fresh queue. */
  queueEntity(more: Readonly<Record<string, unknown>> = {}): Entity & { kind: "queue" } {
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

  /** Declares a fresh queue and gives its name. */
  async queue(broker: Broker, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const entity = this.queueEntity(more);
    await broker.declare([entity]);
    return entity.name;
  }

  outgoing(to: string | Destination, text: string, properties?: Readonly<Record<string, unknown>>): Outgoing {
    const destination = typeof to === "string" ? { exchange: "", routingKey: to } : to;
    return { message: letter(text, properties), to: destination, mustRoute: this.subject.features.mustRoute };
  }

  /** Publishes texts in one batch and demands that each is confirmed. */
  async publish(broker: Broker, to: string | Destination, texts: readonly string[]): Promise<void> {
    const verdicts = await broker.publish(texts.map((text) => this.outgoing(to, text)));
    const bad: Verdict | undefined = verdicts.find((verdict) => verdict.is !== "confirmed");
    if (bad !== undefined || verdicts.length !== texts.length) {
      throw new Error(`not all confirmed: ${JSON.stringify(verdicts)}`);
    }
  }

  inbox<T>(source: AsyncIterable<T>): Inbox<T> {
    return new Inbox(source, this.patience);
  }

  /** A consumer of `queues` and the inbox on it. */
  consume(
    broker: Broker,
    queues: readonly string[],
    prefetch = 10,
  ): { readonly consumer: Consumer; readonly inbox: Inbox<Delivery> } {
    const consumer = this.subject.consume?.(queues) ?? broker.consume(queues, { prefetch });
    return { consumer, inbox: this.inbox(consumer) };
  }

  /** Waits until `count` ready messages are in the queue. */
  async counts(broker: Broker, queue: string, count: number): Promise<void> {
    let seen = -1;
    try {
      await until(async () => (seen = await broker.count(queue)) === count, {
        what: `${count} ready messages`,
        deadline: this.patience,
      });
    } catch (cause) {
      throw new Error(`the queue should come to ${count} ready messages but has ${seen}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.subject.link?.thaw();
    const [first] = this.#brokers;
    for (const broker of this.#brokers.slice(1)) await broker.close();
    if (first === undefined) return;
    for (const queue of this.#queues) await first.purge(queue);
    await first.close();
  }
}

/** A task on which nothing is awaited yet: turns a throw, now or later, into a rejection. */
export async function attempt<T>(action: () => T | Promise<T>): Promise<T> {
  return await action();
}
