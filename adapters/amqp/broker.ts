/**
 * The broker contract on RabbitMQ, whatever the transport.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type {
  Broker,
  BrokerEvent,
  BrokerFeatures,
  Call,
  Consumer,
  Entity,
  Inbox,
  Outgoing,
  PublishOptions,
  Subscription,
  Verdict,
} from "../../src/broker.ts";
import { AmqpConsumer } from "./consumer.ts";
import { Control } from "./control.ts";
import type { Epoch } from "./epoch.ts";
import { channelError, sentenceOf } from "./errors.ts";
import { within } from "./limit.ts";
import { Link } from "./link.ts";
import type { Settings } from "./options.ts";
import { Publisher } from "./publisher.ts";
import { AmqpSubscription } from "./subscription.ts";
import { tell } from "./tell.ts";
import { type Site, Topology } from "./topology.ts";
import type { Target } from "./url.ts";
import type { Dial } from "./wire.ts";

/** A RabbitMQ broker. Made by `amqpBroker`. */
export class AmqpBroker implements Broker {
  readonly transport: string = "amqp";
  readonly address: string;
  readonly features: BrokerFeatures;
  readonly #settings: Settings;
  readonly #publishing: Link;
  readonly #consuming: Link;
  readonly #controls: ReadonlyMap<Link, Control>;
  readonly #topology: Topology;
  readonly #publisher: Publisher;
  readonly #consumers: Set<AmqpConsumer> = new Set();
  readonly #subscriptions: Set<AmqpSubscription> = new Set();
  readonly #listeners: Set<(event: BrokerEvent) => void> = new Set();

  constructor(targets: readonly [Target, ...Target[]], dial: Dial, settings: Settings) {
    this.#settings = settings;
    this.address = targets.map(({ address }) => address).join(";");
    this.features = {
      link: "shared",
      confirm: "durable",
      mustRoute: true,
      delivery: "push",
      subscribe: true,
      exchanges: ["direct", "topic", "fanout"],
      priority: "high-first",
      requeue: "publication",
      park: "none",
      maxPark: 0,
      loss: "link",
      attempts: false,
      maxMessage: settings.maxMessage,
    };
    this.#topology = new Topology(settings.topology);
    const emit = (event: BrokerEvent): void => this.#emit(event);
    this.#publishing = new Link({ kind: "publish", dial, targets, settings, emit });
    this.#consuming = new Link({ kind: "consume", dial, targets, settings, emit });
    this.#controls = new Map([[this.#publishing, new Control()], [this.#consuming, new Control()]]);
    this.#publisher = new Publisher({
      link: this.#publishing,
      settings,
      prepare: (epoch) => this.#restore(this.#publishing, epoch),
      unroutable: () => this.#doubt(),
    });
  }

  async connect(call: Call = {}): Promise<void> {
    await this.#publishing.open(call);
    if (this.#consuming.wanted) await this.#consuming.open(call);
  }

  async declare(entities: readonly Entity[], call: Call = {}): Promise<void> {
    const exclusive = Topology.exclusive(entities);
    const stand = exclusive ? [this.#consuming.epoch] : [this.#consuming.epoch, this.#publishing.epoch];
    if (this.#topology.stands(entities, stand)) return;
    const link = exclusive ? this.#consuming : this.#questions();
    await this.#ask(
      link,
      call,
      "Declaring",
      (epoch, control) => this.#topology.declare(entities, epoch, control),
    );
  }

  publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const { declare, ...call } = options;
    if (declare === undefined) return this.#publisher.publish(batch, call);
    return this.declare(declare, call).then(() => this.#publisher.publish(batch, call));
  }

  consume(queues: readonly string[], { prefetch }: { readonly prefetch: number }): Consumer {
    const consumer = new AmqpConsumer(queues, prefetch, {
      link: this.#consuming,
      settings: this.#settings,
      emit: (event) => this.#emit(event),
      prepare: (epoch) => this.#restore(this.#consuming, epoch),
      doubt: () => this.#doubt(),
      ended: (done) => this.#consumers.delete(done),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  subscribe(inbox: Inbox): Subscription {
    const subscription = new AmqpSubscription(inbox, {
      link: this.#consuming,
      settings: this.#settings,
      emit: (event) => this.#emit(event),
      ended: (done) => this.#subscriptions.delete(done),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** 0 where there is no such queue. */
  async count(queue: string): Promise<number> {
    return await this.#messages(
      queue,
      "Counting",
      (channel) => channel.queueDeclare(queue, { passive: true }),
    );
  }

  /** 0 where there is no such queue. */
  async purge(queue: string): Promise<number> {
    return await this.#messages(queue, "Purging", (channel) => channel.queuePurge(queue));
  }

  observe(listener: (event: BrokerEvent) => void): Disposable {
    // The same function may observe twice; each call is taken back by itself.
    const own = (event: BrokerEvent): void => listener(event);
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => this.#listeners.delete(own) };
  }

  async close(call: Call = {}): Promise<void> {
    const { clock } = this.#settings.platform;
    const deadline = Math.min(call.deadline ?? Infinity, clock.now() + this.#settings.closeTimeout);
    const closing = async (): Promise<void> => {
      const consumers = [...this.#consumers];
      this.#consumers.clear();
      await Promise.all([
        this.#publisher.close(deadline),
        ...consumers.map((consumer) => consumer.close(deadline)),
        ...[...this.#subscriptions].map((subscription) => subscription.close(deadline)),
      ]);
      await Promise.all([this.#publishing.close(deadline), this.#consuming.close(deadline)]);
    };
    const { signal } = call;
    await within(closing(), signal === undefined ? {} : { signal }, clock, "Closing the broker");
  }

  async #messages(
    queue: string,
    what: string,
    question: (channel: AMQPChannel) => Promise<{ readonly messageCount: number }>,
  ): Promise<number> {
    return await this.#ask(this.#questions(), {}, what, async (epoch, control) => {
      try {
        return (await control.ask(epoch, question)).messageCount;
      } catch (error) {
        if (sentenceOf(error)?.code === 404) return 0;
        throw channelError({ kind: "queue", name: queue }, error);
      }
    });
  }

  /** A question's link: the consuming one where it is wanted, as an alarm never blocks it. */
  #questions(): Link {
    return this.#consuming.wanted ? this.#consuming : this.#publishing;
  }

  async #ask<T>(
    link: Link,
    call: Call,
    what: string,
    question: (epoch: Epoch, control: Control) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#settings.platform;
    const limited: Call = { deadline: clock.now() + this.#settings.publishTimeout, ...call };
    const epoch = await link.open(limited);
    return await within(question(epoch, this.#control(link)), limited, clock, what);
  }

  #control(link: Link): Control {
    const control = this.#controls.get(link);
    if (control === undefined) throw new Error("a link without a control channel");
    return control;
  }

  async #restore(link: Link, epoch: Epoch): Promise<void> {
    const consuming = link === this.#consuming;
    const site: Site = {
      epoch,
      control: this.#control(link),
      elsewhere: consuming ? this.#publishing.epoch : this.#consuming.epoch,
      exclusive: consuming,
    };
    await this.#topology.restore(site, (error) => {
      this.#emit({ is: "down", link: link.kind, error, retryIn: undefined });
    });
  }

  #doubt(): void {
    this.#topology.doubt(this.#publishing.epoch, this.#consuming.epoch);
  }

  #emit(event: BrokerEvent): void {
    if (event.is === "unblocked") this.#publisher.resume();
    for (const listener of [...this.#listeners]) tell(() => listener(event));
  }
}
