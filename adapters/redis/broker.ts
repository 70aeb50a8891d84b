/**
 * The broker contract on Redis over connections.
 *
 * @module
 */
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
import type { CeleriacError } from "../../src/errors.ts";
import { Observers } from "../../src/lib/observers.ts";
import type { Platform } from "../../src/lib/port.ts";
import { BroadcastConsumer, goneWith } from "./broadcast.ts";
import type { Command, Commands } from "./client.ts";
import { LinkCommands } from "./commands.ts";
import { fault, isPassingFault, late } from "./fault.ts";
import { Ears } from "./ears.ts";
import { evictionOf } from "./eviction.ts";
import { RedisConsumer } from "./lease/consumer.ts";
import { LEASED } from "./lease/features.ts";
import { LeaseKeys } from "./lease/keys.ts";
import { CONNECTED } from "./lease/pace.ts";
import { Waker } from "./lease/waker.ts";
import type { LinkOptions } from "./link.ts";
import { bind, type Packer } from "./packer.ts";
import { Patience } from "./patience.ts";
import { QueueLists } from "./lists.ts";
import { RedisPublisher } from "./publisher.ts";
import { checkQueue } from "./reserved.ts";
import type { Server } from "./server.ts";
import { ChannelSubscription, ListSubscription } from "./subscription.ts";
import { RedisTopology, type Topology } from "./topology.ts";
import { RecentTypes } from "./types.ts";

/** What a broker is made of. Durations are ms. */
export interface BrokerParts {
  readonly server: Omit<Server, "commandTimeout">;
  readonly commandTimeout: number;
  readonly prefix: string;
  readonly topology: Topology;
  readonly platform: Platform;
  readonly maxMessage: number;
  readonly visibilityTimeout: number;
  readonly consumerTimeout: number;
  readonly publishTimeout: number;
  readonly closeTimeout: number;
  readonly reconnectMax: number;
}

/** The {@link Broker}; see the module. */
export class RedisBroker implements Broker {
  readonly transport = "redis";
  readonly address: string;
  readonly features: BrokerFeatures;
  readonly #parts: BrokerParts;
  readonly #keys: LeaseKeys;
  readonly #publishing: LinkCommands;
  readonly #consuming: LinkCommands;
  readonly #lists: QueueLists;
  readonly #waker: Waker;
  readonly #packer: Packer;
  readonly #publisher: RedisPublisher;
  readonly #consumers: Set<RedisConsumer> = new Set();
  readonly #subscriptions: Set<Subscription> = new Set();
  readonly #observers: Observers<BrokerEvent> = new Observers<BrokerEvent>();
  readonly #topology: RedisTopology;
  #ears: Ears | undefined;
  #inspected = false;

  constructor(parts: BrokerParts) {
    const { maxMessage, platform, prefix, publishTimeout, server: { db, own, shared, subject } } = parts;
    const { clock, ids } = platform;
    this.#parts = parts;
    this.address = subject.address;
    this.#keys = new LeaseKeys(prefix);
    this.#lists = new QueueLists(this.#keys, (commands) => this.#ask(commands), parts.server.subject);
    this.#publishing = new LinkCommands({ ...this.#link("publish"), open: shared("publish") });
    this.#consuming = new LinkCommands({ ...this.#link("consume"), open: own("consume") });
    this.#waker = new Waker({
      commands: this.#consuming,
      link: { ...this.#quiet(), open: own("wake") },
    });
    this.#packer = { prefix, db, platform, features: { maxMessage }, types: new RecentTypes() };
    this.#publisher = new RedisPublisher({
      commands: this.#publishing,
      packer: this.#packer,
      ...{ clock, ids, subject, publishTimeout },
    });
    this.#topology = new RedisTopology({
      topology: parts.topology,
      publisher: this.#publisher,
      packer: this.#packer,
      commands: this.#publishing,
      ...{ clock, subject, publishTimeout },
    });
    this.features = {
      link: "shared",
      confirm: "memory",
      mustRoute: true,
      resends: true,
      exchanges: ["direct", "topic", "fanout"],
      delay: false,
      priority: "low-first",
      maxMessage,
      ...LEASED,
      subscribe: true,
    };
  }

  async connect(call: Call = {}): Promise<void> {
    await this.#ask([["ping"]], call);
    await this.#inspect(call).catch(() => {});
  }

  declare(entities: readonly Entity[], call: Call = {}): Promise<void> {
    return this.#topology.declare(entities, call);
  }

  publish(batch: readonly Outgoing[], options?: PublishOptions): Promise<readonly Verdict[]> {
    return this.#topology.publish(batch, options);
  }

  consume(queues: readonly string[], { prefetch }: { readonly prefetch: number }): Consumer {
    const { fanouts } = this.#topology;
    if (!queues.some((queue) => fanouts.has(queue))) return this.#lease(queues, prefetch);
    const heard = new Set<string>();
    const publishing = this.#publishing.session();
    const { subject } = this.#parts.server;
    const lists = new QueueLists(this.#keys, (commands) => this.#ask(commands, {}, publishing), subject);
    const warn = (reason: string): void =>
      this.#observers.tell({ is: "warning", code: "broadcast-dropped", reason });
    return new BroadcastConsumer(queues, prefetch, {
      leased: this.#lease(queues, prefetch, async () => {
        for (const queue of heard) {
          if (!fanouts.isGone(queue)) continue;
          const left = await lists.clear(queue).catch(() => 0);
          if (left > 0) warn(goneWith(queue, left));
        }
      }),
      clock: this.#parts.platform.clock,
      listen: (queue, take) => {
        const inboxes = fanouts.inboxes(queue);
        if (inboxes === undefined) return undefined;
        heard.add(queue);
        fanouts.join(queue);
        return inboxes.map((inbox) => this.#listen(inbox, take) as ChannelSubscription);
      },
      left: (queue) => fanouts.leave(queue),
      warn,
    });
  }

  /** `leave` takes away what goes with the consumer. */
  #lease(queues: readonly string[], prefetch: number, leave?: () => Promise<void>): RedisConsumer {
    const { server: { subject }, ...parts } = this.#parts;
    const consumer = new RedisConsumer(queues, prefetch, {
      ...parts,
      subject,
      commands: this.#consuming.session(),
      keys: this.#keys,
      pace: CONNECTED,
      waker: this.#waker,
      worked: () => {},
      failed: (error, retryIn) => {
        if (retryIn === undefined) this.#observers.tell({ is: "fatal", error });
        // The link tells of its own troubles.
        else if (!isPassingFault(error)) {
          this.#observers.tell({ is: "down", link: "consume", error, retryIn });
        }
      },
      prepare: async () => {
        this.#topology.doubt();
        await this.#publisher.declare([]);
      },
      ended: (done) => void this.#consumers.delete(done),
      ...(leave && { leave }),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  subscribe(inbox: Inbox): Subscription {
    return this.#listen(inbox);
  }

  #listen(inbox: Inbox, take?: (text: string) => void): Subscription {
    const { platform: { clock }, prefix, server: { db, own } } = this.#parts;
    checkQueue(inbox.queue);
    const publishing = this.#publishing.session();
    const ended = (): void => void this.#subscriptions.delete(subscription);
    // What is published to it must know what it is.
    if (inbox.exchange !== undefined) {
      bind(this.#packer, [{ kind: "exchange", autoDelete: false, ...inbox.exchange }]);
    }
    const subscription: Subscription = inbox.exchange?.type === "fanout"
      ? new ChannelSubscription(inbox, { prefix, db }, this.#listening(), ended, take)
      : new ListSubscription(inbox, { prefix, db }, {
        commands: new LinkCommands({ ...this.#quiet(), open: own("inbox") }),
        commandTimeout: this.#parts.commandTimeout,
        pause: (ms) => new Promise((resolve) => void clock.after(ms, resolve)),
        clean: async (commands) => void await this.#ask(commands, {}, publishing),
        ended,
      });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  count(queue: string): Promise<number> {
    return this.#lists.count(queue);
  }

  purge(queue: string): Promise<number> {
    return this.#lists.purge(queue);
  }

  observe(listener: (event: BrokerEvent) => void): Disposable {
    return this.#observers.add(listener);
  }

  async close({ deadline = Infinity, signal }: Call = {}): Promise<void> {
    const { closeTimeout, platform: { clock }, server: { subject } } = this.#parts;
    const end = Math.min(deadline, clock.now() + closeTimeout);
    const patience = new Patience(clock, {
      signal,
      deadline: end,
      late: () => late("closing", closeTimeout, subject),
    });
    try {
      await patience.for(Promise.all([
        this.#publisher.idle(),
        ...[...this.#consumers].map((consumer) => consumer.close(end)),
        ...[...this.#subscriptions].map((subscription) => subscription.close()),
      ]));
    } catch {
      // What is not answered by now is given up with the links.
    } finally {
      patience.end();
      this.#publisher.letGo();
      const ears = this.#ears;
      this.#ears = undefined;
      await Promise.all([this.#publishing.close(), this.#consuming.close(), ears?.close()]);
    }
  }

  /** A link without news. */
  #quiet(): Omit<LinkOptions, "open"> {
    const { commandTimeout, platform, reconnectMax, server: { connectTimeout, subject } } = this.#parts;
    return { connectTimeout, commandTimeout, longestPause: reconnectMax, platform, subject };
  }

  #link(link: "publish" | "consume"): Omit<LinkOptions, "open"> {
    const down = (error: CeleriacError, pause: number): void => {
      // A consumer comes back by itself, a publisher with the next publish.
      this.#observers.tell({ is: "down", link, error, retryIn: link === "consume" ? pause : undefined });
    };
    return {
      ...this.#quiet(),
      onUp: () => {
        // The server may be another one, or have lost its memory.
        this.#topology.doubt();
        this.#observers.tell({ is: "up", link });
        if (link === "consume") {
          this.#waker.claiming();
          void this.#inspect().catch(() => {});
        }
      },
      onLost: down,
      onFailed: down,
    };
  }

  /** The connection that listens to channels, for all subscriptions. */
  #listening(): Ears {
    const { platform: { clock }, server: { own } } = this.#parts;
    return this.#ears ??= new Ears({ ...this.#quiet(), open: own("listen") }, clock);
  }

  /** Whether the server may throw queues away when its memory is full; told once. */
  async #inspect(call: Call = {}): Promise<void> {
    if (this.#inspected) return;
    this.#inspected = true;
    const { commandTimeout, platform: { clock } } = this.#parts;
    const reason = await evictionOf(this.#publishing, { deadline: clock.now() + commandTimeout, ...call });
    if (reason !== undefined) this.#observers.tell({ is: "warning", code: "redis-eviction", reason });
  }

  async #ask(
    commands: readonly Command[],
    call: Call = {},
    over: Commands = this.#publishing,
  ): Promise<readonly unknown[]> {
    const answers = await over.run(commands, { ...call, repeatable: true });
    const refused = answers.find((answer) => answer instanceof Error);
    if (refused !== undefined) throw fault(refused, this.#parts.server.subject);
    return answers;
  }
}
