/**
 * The broker contract on RabbitMQ, whatever the transport.
 *
 * @module
 */
import type { AMQPMessage } from "@cloudamqp/amqp-client";
import type {
  Broker,
  BrokerEvent,
  BrokerFeatures,
  Call,
  Consumer,
  DelayQueueType,
  DelayWay,
  Entity,
  Inbox,
  Outgoing,
  PublishFeatures,
  PublishOptions,
  Subscription,
  Verdict,
} from "../../src/broker.ts";
import { explaining } from "../../src/lib/mismatch.ts";
import { Observers } from "../../src/lib/observers.ts";
import { CallSender, sendingFeatures } from "./call.ts";
import { AmqpConsumer } from "./consumer.ts";
import { declareAll } from "./declare.ts";
import { Delays } from "./delays.ts";
import type { Epoch } from "./epoch.ts";
import { demandTime, within } from "./limit.ts";
import { REST } from "./ladder.ts";
import { Link } from "./link.ts";
import { readMessage } from "./message.ts";
import { messagesIn } from "./messages.ts";
import type { Settings } from "./options.ts";
import { encoded } from "./outlet.ts";
import { MAX_PARK, type NativeWay, Parking } from "./parking.ts";
import { Questions } from "./questions.ts";
import { addressOf, type Roads } from "./roads.ts";
import { SharedSender } from "./sender.ts";
import { AmqpSubscription } from "./subscription.ts";
import { Topology } from "./topology.ts";

const CONSUMING: Omit<BrokerFeatures, keyof PublishFeatures> = {
  delivery: "push",
  subscribe: true,
  requeue: "publication",
  park: "copy",
  maxPark: MAX_PARK,
  loss: "link",
  attempts: false,
};

/** A RabbitMQ broker: a sending half, and what consumes. Made by `amqpBroker`. */
export class AmqpBroker implements Broker {
  readonly transport: string = "amqp";
  readonly address: string;
  readonly features: BrokerFeatures;
  readonly #settings: Settings;
  readonly #roads: Roads;
  /** Sends where each call has a connection of its own. */
  readonly #calls: CallSender | undefined;
  readonly #publishing: Link;
  readonly #consuming: Link;
  readonly #questions: Questions;
  readonly #topology: Topology;
  readonly #sender: SharedSender;
  readonly #parking: Parking;
  readonly #delays: Delays = new Delays();
  readonly #consumers: Set<AmqpConsumer> = new Set();
  readonly #subscriptions: Set<AmqpSubscription> = new Set();
  /** Goodbyes of consumers with a connection of their own. */
  readonly #leaving: Set<Promise<void>> = new Set();
  /** While the broker is being closed. */
  #closing: Call | undefined;
  readonly #observers: Observers<BrokerEvent> = new Observers<BrokerEvent>();

  constructor(roads: Roads) {
    const { settings } = roads;
    this.#settings = settings;
    this.#roads = roads;
    this.#topology = new Topology(settings.topology);
    this.#publishing = this.#link("publish");
    this.#consuming = this.#link("consume");
    const propertiesOf = (message: AMQPMessage): Uint8Array => encoded(readMessage(message));
    this.#questions = new Questions(roads, this.#publishing, this.#consuming);
    this.#calls = settings.link === "call" ? new CallSender(this.#roads) : undefined;
    this.#sender = new SharedSender(settings, {
      open: async () => {
        const epoch = await this.#publishing.open();
        await this.#restore(this.#publishing, epoch);
        return epoch;
      },
      declare: (entities, call) => this.#declare(entities, call),
      unroutable: () => this.#doubt(),
      propertiesOf,
    });
    this.#publishing.onLost((epoch) => {
      this.#sender.drop(epoch.lost);
      this.#parking.forget();
    });
    this.#parking = new Parking({
      clock: settings.platform.clock,
      topology: settings.topology,
      ask: (question) => this.#questions.put("Declaring the delay queues", question),
      publish: async (outgoing) => (await this.publish([outgoing]))[0] as Verdict,
      native: this.#native(),
      blocked: () => this.#publishing.epoch?.blocked,
    });
    this.address = addressOf(roads);
    this.features = { ...sendingFeatures(settings.link, settings.maxMessage), ...CONSUMING };
  }

  async connect(call: Call = {}): Promise<void> {
    if (this.#calls !== undefined) {
      return await this.#questions.pass(call, "Connecting to the broker", () => Promise.resolve());
    }
    await this.#publishing.open(call);
    if (this.#consuming.wanted) await this.#consuming.open(call);
  }

  /** Where each call has a connection of its own, an exclusive queue goes with it. */
  async declare(entities: readonly Entity[], call: Call = {}): Promise<void> {
    demandTime(call, this.#settings.platform.clock, "Declaring");
    if (this.#calls !== undefined) {
      if (entities.length === 0 || this.#settings.topology === "leave") return;
      return await this.#questions.pass(call, "Declaring", async (channel) => {
        await explaining(declareAll(
          entities,
          this.#settings.topology,
          channel,
          (entity) => this.#topology.keep([entity]),
        ));
      });
    }
    await this.#declare(entities, call);
    this.#topology.keep(entities);
  }

  async #declare(entities: readonly Entity[], call: Call): Promise<void> {
    const exclusive = Topology.exclusive(entities);
    const stand = exclusive ? [this.#consuming.epoch] : [this.#consuming.epoch, this.#publishing.epoch];
    if (this.#topology.stands(entities, stand)) return;
    const link = exclusive ? this.#consuming : this.#questions.link;
    await this.#questions.ask(
      link,
      call,
      "Declaring",
      (epoch, control) => this.#topology.declare(entities, epoch, control),
    );
  }

  /** Where each call has a connection of its own, so much is not declared for it. */
  async declareDelays(ways: readonly DelayWay[], type: DelayQueueType, call: Call = {}): Promise<boolean> {
    const may = this.#delays.expect(ways);
    if (!may || this.#calls !== undefined || this.#settings.topology !== "declare") return false;
    await this.#leadDelays(ways, type, call);
    return true;
  }

  publish(batch: readonly Outgoing[], options?: PublishOptions): Promise<readonly Verdict[]> {
    return this.#calls === undefined
      ? this.#sender.publish(batch, options)
      : explaining(this.#calls.publish(batch, options));
  }

  consume(queues: readonly string[], { prefetch }: { readonly prefetch: number }): Consumer {
    const link = this.#own();
    const consumer = new AmqpConsumer(queues, prefetch, {
      link,
      settings: this.#settings,
      parking: this.#parking,
      emit: (event) => this.#emit(event),
      prepare: (epoch) => this.#restore(link, epoch),
      doubt: () => this.#doubt(link),
      ended: (done) => {
        this.#consumers.delete(done);
        this.#disown(link);
      },
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  subscribe(inbox: Inbox): Subscription {
    const link = this.#own();
    const subscription = new AmqpSubscription(inbox, {
      link,
      settings: this.#settings,
      emit: (event) => this.#emit(event),
      ended: (done) => {
        this.#subscriptions.delete(done);
        this.#disown(link);
      },
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** 0 where there is no such queue. */
  async count(queue: string): Promise<number> {
    return await messagesIn(
      queue,
      this.#questions.put("Counting", (channel) => channel.queueDeclare(queue, { passive: true })),
    );
  }

  /** 0 where there is no such queue. */
  async purge(queue: string): Promise<number> {
    return await messagesIn(queue, this.#questions.put("Purging", (channel) => channel.queuePurge(queue)));
  }

  observe(listener: (event: BrokerEvent) => void): Disposable {
    return this.#observers.add(listener);
  }

  async close({ signal, deadline = Infinity }: Call = {}): Promise<void> {
    const { platform: { clock }, closeTimeout } = this.#settings;
    const call = {
      deadline: Math.min(deadline, clock.now() + closeTimeout),
      ...(signal === undefined ? {} : { signal }),
    };
    const consumers = [...this.#consumers];
    this.#consumers.clear();
    this.#closing = call;
    await Promise.all([
      this.#sender.drain(call),
      ...consumers.map((consumer) => consumer.close(call)),
      ...[...this.#subscriptions].map((subscription) => subscription.close(call)),
    ]);
    await Promise.all([
      this.#publishing.close(call),
      this.#consuming.close(call),
      // Some may have begun before, with more time than there is now.
      ...[...this.#leaving].map((leaving) => within(leaving, call, clock, "A goodbye").catch(() => {})),
    ]);
    this.#closing = undefined;
  }

  async #leadDelays(ways: readonly DelayWay[], type: DelayQueueType, call: Call): Promise<void> {
    if (this.#delays.stands(ways, type, [this.#consuming.epoch, this.#publishing.epoch])) return;
    await this.#questions.ask(
      this.#questions.link,
      call,
      "Declaring the delayed delivery",
      (epoch, control) => this.#delays.declare(ways, type, { epoch, control }),
    );
  }

  /** What parking asks of native delayed delivery: that its queues keep what they let go is known of those that we declared. */
  #native(): NativeWay {
    const declares = this.#settings.topology === "declare";
    return {
      carries: () =>
        (!declares || this.#delays.type === "quorum") && !this.#delays.leads(REST.way(0).routingKey),
      stand: () => declares ? this.#leadDelays([], "quorum", {}) : Promise.resolve(),
      doubt: () => this.#delays.doubt(this.#consuming.epoch, this.#publishing.epoch),
    };
  }

  #link(kind: "publish" | "consume"): Link {
    return new Link({ kind, roads: this.#roads, emit: (event) => this.#emit(event) });
  }

  /** The connection of a new consumer or subscription. */
  #own(): Link {
    return this.#calls !== undefined ? this.#link("consume") : this.#consuming;
  }

  /** Nobody uses it any more. */
  #disown(link: Link): void {
    const { platform: { clock }, closeTimeout } = this.#settings;
    if (link === this.#consuming) return;
    const call = this.#closing ?? { deadline: clock.now() + closeTimeout };
    const leaving = link.close(call, true).finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  async #restore(link: Link, epoch: Epoch): Promise<void> {
    const consuming = link.kind === "consume";
    const elsewhere = this.#calls !== undefined
      ? undefined
      : consuming
      ? this.#publishing.epoch
      : this.#consuming.epoch;
    const site = { epoch, control: this.#questions.control(link), elsewhere };
    await this.#topology.restore({ ...site, exclusive: consuming }, (error) => {
      this.#emit({ is: "down", link: link.kind, error, retryIn: undefined });
    });
    await this.#delays.restore(site, ({ message }) => {
      this.#emit({ is: "warning", code: "delay-undeclared", reason: message });
    });
  }

  #doubt(link?: Link): void {
    const epochs = [this.#publishing.epoch, this.#consuming.epoch, link?.epoch];
    this.#topology.doubt(...epochs);
    this.#delays.doubt(...epochs);
  }

  #emit(event: BrokerEvent): void {
    if (event.is === "unblocked") this.#sender.resume();
    this.#observers.tell(event);
  }
}
