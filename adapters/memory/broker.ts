/**
 * The memory broker: the broker contract on the reducer of AMQP commands.
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
import { CeleriacError, TimeoutError } from "../../src/errors.ts";
import { Observers } from "../../src/lib/observers.ts";
import { checkOptionNames } from "../../src/lib/options.ts";
import type { Clock, Platform } from "../../src/lib/port.ts";
import { soon } from "../../src/lib/soon.ts";
import { MemoryConsumer } from "./consumer.ts";
import type { Network } from "./network.ts";
import { Publisher } from "./publisher.ts";
import { Session } from "./session.ts";
import { MemorySubscription } from "./subscription.ts";
import { Topology } from "./topology.ts";
import { MemoryWorld } from "./world.ts";

/** How a memory broker is made. */
export interface MemoryBrokerOptions {
  /**
   * The server that it speaks to; brokers of one world see each other.
   *
   * @default a world of its own
   */
  readonly world?: MemoryWorld;
  /**
   * Time of this broker, and of a world of its own.
   *
   * @default the world's, else the system's
   */
  readonly platform?: Platform;
  /** @internal Carries its words: a simulator's. */
  readonly network?: Network;
}

/** A broker in memory, with the server behind it. */
export interface MemoryBroker extends Broker {
  /** The server; give it to another `memoryBroker` to see the same queues. */
  readonly world: MemoryWorld;
}

/** How often a question is put again whose link went before the answer. */
const ATTEMPTS = 5;

/** How long the server may take to confirm the copy of a message that is to wait, ms; as with RabbitMQ. */
const PARKED = 5000;

/** How long the server may take to say goodbye, ms; as with RabbitMQ. */
const CLOSED = 5000;

/** Parked messages wait as long as Celery's own revokes are kept, ms. */
const MAX_PARK = 28 * 86_400_000;

class InMemory implements MemoryBroker {
  readonly transport = "memory";
  readonly address = "memory://";
  readonly world: MemoryWorld;
  readonly features: BrokerFeatures;
  readonly #observers: Observers<BrokerEvent> = new Observers<BrokerEvent>();
  readonly #consumers: Set<MemoryConsumer> = new Set<MemoryConsumer>();
  readonly #subscriptions: Set<MemorySubscription> = new Set<MemorySubscription>();
  readonly #topology: Topology = new Topology();
  readonly #clock: Clock;
  readonly #network: Network | undefined;
  readonly #publisher: Publisher;
  readonly #links: { publish: Session | undefined; consume: Session | undefined } = {
    publish: undefined,
    consume: undefined,
  };
  /** Counts `close()`: what was under way before it is not taken up again after it. */
  #closes = 0;

  constructor({ world, platform, network }: MemoryBrokerOptions) {
    this.world = world ?? new MemoryWorld(platform === undefined ? {} : { platform });
    this.#clock = (platform ?? this.world.platform).clock;
    this.#network = network;
    this.#publisher = new Publisher(
      this.#clock,
      this.world.maxMessage,
      () => this.#link("publish"),
      () => this.world.platform.clock.now() - this.#clock.now(),
    );
    this.features = {
      link: "shared",
      confirm: "memory",
      mustRoute: true,
      resends: false,
      delivery: "push",
      subscribe: true,
      exchanges: ["direct", "topic", "fanout"],
      delay: true,
      priority: "high-first",
      requeue: "publication",
      park: "copy",
      maxPark: MAX_PARK,
      loss: "link",
      attempts: false,
      maxMessage: this.world.maxMessage,
    };
  }

  async connect(options: Call = {}): Promise<void> {
    await this.#within(options, async () => {
      const links = [this.#link("publish"), await this.#session()];
      await Promise.all(links.map((link) => link.opened));
    });
  }

  async declare(entities: readonly Entity[], options: Call = {}): Promise<void> {
    await this.#within(options, () => this.#retrying((session) => this.#topology.declare(entities, session)));
  }

  publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const { declare, ...call } = options;
    if (declare === undefined) return this.#publisher.publish(batch, call);
    return this.declare(declare, call).then(() => this.#publisher.publish(batch, call));
  }

  consume(queues: readonly string[], { prefetch }: { readonly prefetch: number }): Consumer {
    const consumer: MemoryConsumer = new MemoryConsumer(
      {
        reachableAt: () => this.world.frozenAt ?? this.#network?.stalledAt ?? this.#clock.now(),
        session: () => this.#session(),
        park: (outgoing, late) => this.#park(outgoing, late),
        onEnded: (one) => void this.#consumers.delete(one),
        onFatal: (error) => this.#observers.tell({ is: "fatal", error }),
        parkedUntil: () => this.#clock.now() + MAX_PARK,
        doubt: () => this.#topology.doubt(),
      },
      queues,
      prefetch,
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  subscribe(inbox: Inbox): Subscription {
    const subscription = new MemorySubscription({
      session: () => this.#session(),
      onEnded: (one) => void this.#subscriptions.delete(one),
      after: (ms, retry) => this.#clock.after(ms, retry, { keepAlive: false }),
      onRefused: (error, retryIn) => this.#observers.tell({ is: "down", link: "consume", error, retryIn }),
    }, inbox);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** 0 for a queue that does not exist, as Celery's purge counts it. */
  count(queue: string): Promise<number> {
    return this.#ask({ do: "queue.declare", queue, passive: true, type: "" });
  }

  purge(queue: string): Promise<number> {
    return this.#ask({ do: "queue.purge", queue });
  }

  observe(listener: (event: BrokerEvent) => void): Disposable {
    return this.#observers.add(listener);
  }

  async close(options: Call = {}): Promise<void> {
    this.#closes++;
    const sessions = [this.#links.publish, this.#links.consume];
    this.#links.publish = undefined;
    this.#links.consume = undefined;
    for (const consumer of this.#consumers) consumer.end();
    for (const subscription of this.#subscriptions) subscription.end();
    this.#consumers.clear();
    this.#subscriptions.clear();
    for (const session of sessions) {
      if (session?.blocked) this.#observers.tell({ is: "unblocked" });
      if (session !== undefined) session.onBlocked = undefined;
    }
    const closing = sessions.map((session) => session?.close() ?? Promise.resolve());
    // Under an alarm the server reads no goodbye behind a publish.
    const last = this.#publisher.isIdle ? Infinity : this.#clock.now() + CLOSED;
    const deadline = Math.min(options.deadline ?? Infinity, last);
    try {
      await this.#within(
        deadline === Infinity ? options : { ...options, deadline },
        () => Promise.all(closing),
      );
    } catch {
      // Out of time or patience: what was not flushed goes back with the link.
      for (const session of sessions) session?.abandon();
    }
  }

  async #park(outgoing: Outgoing, late: (verdict: Verdict) => void): Promise<Verdict | undefined> {
    if (this.#links.publish?.blocked === true) {
      return { is: "refused", reason: "the broker takes no messages: a resource alarm", retry: true };
    }
    const sent = this.publish([outgoing]).then(([verdict]) => verdict as Verdict);
    const verdict = await soon(sent, PARKED, this.#clock);
    if (verdict === undefined) void sent.then(late);
    return verdict;
  }

  async #ask(
    command: { do: "queue.purge"; queue: string } | {
      do: "queue.declare";
      queue: string;
      passive: true;
      type: string;
    },
  ): Promise<number> {
    try {
      return await this.#retrying(async (session) => {
        const channel = session.channel();
        const answer = await channel.ask(command);
        void channel.close();
        return "messageCount" in answer ? answer.messageCount : 0;
      });
    } catch (error) {
      if (error instanceof CeleriacError && error.code === "queue-missing") return 0;
      throw error;
    }
  }

  /** Asks again on a new link where the old one went before the answer, and was not closed by us. */
  async #retrying<T>(question: (session: Session) => Promise<T>): Promise<T> {
    const closes = this.#closes;
    for (let attempt = 1;; attempt++) {
      try {
        return await question(await this.#session());
      } catch (error) {
        const lost = error instanceof CeleriacError && error.code === "broker-lost";
        if (!lost || attempt === ATTEMPTS || closes !== this.#closes) throw error;
      }
    }
  }

  /** The consuming link with its topology in place. */
  async #session(): Promise<Session> {
    const session = this.#link("consume");
    await this.#topology.restore(session);
    return session;
  }

  #link(which: "publish" | "consume"): Session {
    const standing = this.#links[which];
    if (standing?.alive === true) return standing;
    const session = new Session(this.world, (error) => this.#lost(which, session, error), this.#network);
    session.onBlocked = (blocked) =>
      this.#observers.tell(blocked ? { is: "blocked", reason: "a resource alarm" } : { is: "unblocked" });
    this.#links[which] = session;
    void session.opened.then(() => {
      if (session.alive) this.#observers.tell({ is: "up", link: which });
    });
    return session;
  }

  #lost(which: "publish" | "consume", session: Session, error: Error): void {
    if (this.#links[which] !== session) return;
    this.#links[which] = undefined;
    if (session.blocked) this.#observers.tell({ is: "unblocked" });
    const wanted = which === "consume" && this.#consumers.size + this.#subscriptions.size > 0;
    // A publishing link is opened again by the next publish.
    this.#observers.tell({ is: "down", link: which, error, retryIn: wanted ? 0 : undefined });
    if (!wanted) return;
    this.#clock.soon(() => {
      for (const consumer of this.#consumers) consumer.attach();
      for (const subscription of this.#subscriptions) subscription.attach();
    });
  }

  /** Ends a wait by signal or deadline; the work itself may still go on. */
  async #within<T>({ signal, deadline }: Call, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (signal === undefined && deadline === undefined) return await work();
    const clock = this.#clock;
    const left = (deadline ?? Infinity) - clock.now();
    const late = (): TimeoutError =>
      new TimeoutError("broker-timeout", "The memory broker did not answer in time.");
    if (left <= 0) throw late();
    return await new Promise<T>((resolve, reject) => {
      const stop = (): void => reject(signal?.reason);
      const timer = deadline === undefined ? undefined : clock.after(left, () => reject(late()));
      signal?.addEventListener("abort", stop, { once: true });
      work().then(resolve, reject).finally(() => {
        timer?.cancel();
        signal?.removeEventListener("abort", stop);
      });
    });
  }
}

/**
 * Makes a broker in memory: a verified imitation of RabbitMQ 3.10, for tests and for programs that are one process. It does no I/O, and
 * nothing of it holds the process open. Client and worker of one app share it; two brokers see each other only through one `world`.
 *
 * What the imitation does not know is refused with the code `fake-unsupported`, never guessed.
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  checkOptionNames("memoryBroker", options, ["world", "platform", "network"]);
  return new InMemory(options);
}
