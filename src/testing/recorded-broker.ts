/**
 * A broker whose messages are written down, in both directions.
 *
 * @module
 */
import type {
  Broker,
  BrokerEvent,
  BrokerFeatures,
  Call,
  Consumer,
  Delivery,
  Entity,
  Inbox,
  Outgoing,
  PublishOptions,
  Subscription,
  Verdict,
} from "../broker.ts";
import { parseInstant } from "../protocol/instant.ts";
import { digestOf, RecordedDelivery, retriesOf, taskOf } from "./recorded-delivery.ts";
import type { Recorder } from "./recorder.ts";

/** See the contract in `src/broker.ts`: everything is the inner one's. */
export class RecordedBroker implements Broker {
  readonly #inner: Broker;
  readonly #recorder: Recorder;
  readonly transport: string;
  readonly address: string;
  readonly features: BrokerFeatures;
  /** Absent where the inner one has none. */
  readonly declareDelays?: NonNullable<Broker["declareDelays"]>;
  /** How often the consuming link has come up. */
  #epoch = 0;

  constructor(recorder: Recorder, inner: Broker) {
    this.#inner = inner;
    this.#recorder = recorder;
    this.transport = inner.transport;
    this.address = inner.address;
    this.features = inner.features;
    if (inner.declareDelays !== undefined) this.declareDelays = inner.declareDelays.bind(inner);
    // For as long as the broker lives: it holds on to us, not we to it.
    inner.observe((event) => this.#heed(event));
  }

  async publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const told = batch.map((outgoing) => this.#published(outgoing, options.deadline));
    try {
      const verdicts = await this.#inner.publish(batch, options);
      told.forEach((tell, at) => {
        const verdict = verdicts[at];
        if (verdict !== undefined) tell(verdict.is);
      });
      return verdicts;
    } catch (error) {
      for (const tell of told) tell("unsent");
      throw error;
    }
  }

  consume(queues: readonly string[], options: { readonly prefetch: number }): Consumer {
    return new RecordedConsumer(
      this.#recorder,
      this.#inner.consume(queues, options),
      options.prefetch,
      () => this.#epoch,
    );
  }

  connect(options?: Call): Promise<void> {
    return this.#inner.connect(options);
  }

  declare(entities: readonly Entity[], options?: Call): Promise<void> {
    return this.#inner.declare(entities, options);
  }

  subscribe(inbox: Inbox): Subscription {
    return this.#inner.subscribe(inbox);
  }

  count(queue: string): Promise<number> {
    return this.#inner.count(queue);
  }

  purge(queue: string): Promise<number> {
    return this.#inner.purge(queue);
  }

  observe(listener: (event: BrokerEvent) => void): Disposable {
    return this.#inner.observe(listener);
  }

  close(options?: Call): Promise<void> {
    return this.#inner.close(options);
  }

  #published(
    outgoing: Outgoing,
    deadline: number | undefined,
  ): (verdict: Verdict["is"] | "unsent") => void {
    const { message, to } = outgoing;
    const { headers, properties } = message;
    this.#recorder.onPublished?.(outgoing);
    const of = { task: taskOf(message), publish: this.#recorder.history.number("publish") };
    this.#recorder.add({
      is: "published",
      ...of,
      ...to,
      name: typeof headers["task"] === "string" ? headers["task"] : "",
      digest: digestOf(message),
      eta: parseInstant(headers["eta"]),
      expires: parseInstant(headers["expires"]),
      ttl: properties["expiration"] === undefined ? undefined : Number(properties["expiration"]),
      ...retriesOf(message),
      deadline,
    });
    return (verdict) => this.#recorder.add({ is: "verdict", ...of, verdict });
  }

  #heed(event: BrokerEvent): void {
    const link = "link" in event ? event.link : "both";
    if (event.is === "up" && link === "consume") this.#epoch++;
    this.#recorder.add({ is: "link", link, state: event.is });
  }
}

/** See the contract in `src/broker.ts`: everything is the inner one's. */
class RecordedConsumer implements Consumer {
  readonly #inner: Consumer;
  readonly #recorder: Recorder;
  readonly #number: number;
  readonly #epoch: () => number;

  constructor(recorder: Recorder, inner: Consumer, prefetch: number, epoch: () => number) {
    this.#inner = inner;
    this.#recorder = recorder;
    this.#number = recorder.history.number("consumer");
    this.#epoch = epoch;
    this.#tell(prefetch, true);
  }

  get aliveAt(): number {
    return this.#inner.aliveAt;
  }

  add(queue: string): Promise<void> {
    return this.#inner.add(queue);
  }

  remove(queue: string): Promise<void> {
    return this.#inner.remove(queue);
  }

  async setPrefetch(count: number): Promise<void> {
    this.#tell(count, false);
    await this.#inner.setPrefetch(count);
    this.#tell(count, true);
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery> {
    const inner = this.#inner[Symbol.asyncIterator]();
    return {
      next: async () => {
        const step = await inner.next();
        return step.done === true ? step : { done: false, value: this.#delivered(step.value) };
      },
      return: (value) => inner.return?.(value) ?? Promise.resolve({ done: true, value: undefined }),
    };
  }

  #delivered(delivery: Delivery): Delivery {
    return new RecordedDelivery(this.#recorder, delivery, this.#number, this.#epoch());
  }

  #tell(prefetch: number, stands: boolean): void {
    this.#recorder.add({ is: "window", consumer: this.#number, prefetch, stands });
  }
}
