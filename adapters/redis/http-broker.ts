/**
 * A broker over HTTP: publishes in one request each, consumes by looking again and again.
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
  Outgoing,
  PublishOptions,
  Verdict,
} from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import { Observers } from "../../src/lib/observers.ts";
import type { BasePlatform } from "../../src/lib/port.ts";
import { faultOf, misfit } from "./http-fault.ts";
import { type Answer, type HttpLink, LATE } from "./http-link.ts";
import { HttpPublisher, MOST, type PublisherSettings, PUBLISHES } from "./http-publisher.ts";
import { HttpTrail } from "./http-trail.ts";
import { Trouble } from "./http-trouble.ts";
import { bind } from "./packer.ts";
import { Patience } from "./patience.ts";
import { RedisConsumer } from "./lease/consumer.ts";
import { LEASED } from "./lease/features.ts";
import { LeaseKeys } from "./lease/keys.ts";
import { checkEntities, checkQueue, isToReserved, reservedReason } from "./reserved.ts";
import { RecentTypes } from "./types.ts";

/** What a message needs besides its body, about. */
const HEAD = 1500;

/** How the consuming half does it. Durations are ms. */
export interface HttpConsuming {
  /** Gives up sooner than a publish may: the next look is not far. */
  readonly link: HttpLink;
  readonly platform: BasePlatform;
  readonly pollInterval: number;
  readonly visibilityTimeout: number;
  readonly consumerTimeout: number;
}

/** The first pause after a message, and that between two looks of a consumer that may take nothing; ms. */
const PACE = { shortest: 100, full: 15_000 };

/** Each sweep is a handful of commands. */
const SWEEP = 300_000;

/** How long `close` waits for what is on its way, ms. */
const FAREWELL = 5000;

/** The {@link Broker}; see the module. */
export class HttpBroker extends HttpPublisher implements Broker {
  override readonly features: BrokerFeatures = {
    ...PUBLISHES,
    ...LEASED,
    subscribe: false,
  };
  override readonly types: RecentTypes = new RecentTypes();
  readonly #consuming: HttpConsuming;
  readonly #consumers: Set<RedisConsumer> = new Set();
  readonly #observers: Observers<BrokerEvent> = new Observers<BrokerEvent>();

  constructor(settings: PublisherSettings, consuming: HttpConsuming) {
    super(settings);
    this.#consuming = consuming;
  }

  /** As several requests, one after the other, where one could not hold the batch. */
  override async publish(
    batch: readonly Outgoing[],
    options: PublishOptions = {},
  ): Promise<readonly Verdict[]> {
    if (batch.length === 0) {
      // There is no verdict that could tell.
      await this.declare(options.declare ?? [], options);
      return [];
    }
    checkEntities(options.declare ?? []);
    if (batch.some(isToReserved)) return await this.#publishOthers(batch, options);
    const half = batch.length >> 1;
    const size = batch.reduce((sum, { message }) => sum + message.body.length + HEAD, 0);
    if (half === 0 || size <= MOST) return await super.publish(batch, options);
    const { platform: { clock }, timeout } = this;
    const call = { ...options, deadline: options.deadline ?? clock.now() + timeout };
    const first = await this.publish(batch.slice(0, half), call);
    return [...first, ...await this.publish(batch.slice(half), call)];
  }

  async connect(options?: Call): Promise<void> {
    await this.#run([], ["PING"], options);
  }

  async declare(entities: readonly Entity[], options: Call = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const { deadline = Infinity } = options;
    if (deadline <= this.#consuming.platform.clock.now()) {
      throw faultOf("broker", this.address, new Trouble("timeout", LATE, false));
    }
    checkEntities(entities);
    const bindings = bind(this, entities);
    if (bindings.length > 0) await this.#run([], this.script(bindings, [], 0), options);
  }

  count(queue: string): Promise<number> {
    return this.#lengths(queue, []);
  }

  purge(queue: string): Promise<number> {
    return this.#lengths(queue, ["DEL"]);
  }

  consume(queues: readonly string[], { prefetch }: { readonly prefetch: number }): Consumer {
    const { link, pollInterval, ...times } = this.#consuming;
    const { prefix, address } = this;
    let up = false;
    const consumer = new RedisConsumer(queues, prefetch, {
      ...times,
      commands: new HttpTrail(link, "broker"),
      keys: new LeaseKeys(prefix),
      subject: { role: "broker", address, secrets: [] },
      pace: {
        ...PACE,
        shortest: Math.min(PACE.shortest, pollInterval),
        longest: pollInterval,
        told: pollInterval,
      },
      sweepInterval: SWEEP,
      closeTimeout: FAREWELL,
      worked: () => {
        if (!up) this.#observers.tell({ is: "up", link: "consume" });
        up = true;
      },
      failed: (error, retryIn) => {
        up = false;
        this.#observers.tell(
          retryIn === undefined ? { is: "fatal", error } : { is: "down", link: "consume", error, retryIn },
        );
      },
      // What was declared comes with each publish.
      prepare: () => Promise.resolve(),
      ended: (done) => void this.#consumers.delete(done),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  subscribe(): never {
    throw new ConfigurationError(
      "subscribe-unsupported",
      "Over HTTP nothing can be listened to (features.subscribe).",
      {
        hint:
          "kombu's channels have a slash in their names, which Upstash's streams do not take: use Redis over TCP.",
      },
    );
  }

  observe(listener: (event: BrokerEvent) => void): Disposable {
    return this.#observers.add(listener);
  }

  override async close({ deadline = Infinity, signal }: Call = {}): Promise<void> {
    const { platform: { clock } } = this.#consuming;
    const end = Math.min(deadline, clock.now() + FAREWELL);
    const patience = new Patience(clock, { signal });
    try {
      await patience.for(Promise.all([...this.#consumers].map((consumer) => consumer.close(end))));
    } catch {
      // It was told to let go: what is not given back by then comes again with its lease's end.
    } finally {
      patience.end();
    }
  }

  /** All but what goes to a reserved name, which is refused. */
  async #publishOthers(batch: readonly Outgoing[], options: PublishOptions): Promise<readonly Verdict[]> {
    const verdicts = [...await this.publish(batch.filter((one) => !isToReserved(one)), options)];
    return batch.map((one): Verdict => {
      const own = isToReserved(one) ? undefined : verdicts.shift();
      return own ?? { is: "refused", reason: reservedReason(one.to.routingKey), retry: false };
    });
  }

  async #lengths(queue: string, more: readonly string[]): Promise<number> {
    checkQueue(queue);
    const lists = new LeaseKeys(this.prefix).lists(queue);
    const asked = [...lists.map((list) => ["LLEN", list]), ...more.map((name) => [name, ...lists])];
    const all = await this.#run(["multi-exec"], asked);
    if (Array.isArray(all) && all.length === asked.length && all.every(Number.isSafeInteger)) {
      return (all as number[]).slice(0, lists.length).reduce((sum, length) => sum + length, 0);
    }
    throw faultOf("broker", this.address, misfit());
  }

  async #run(path: readonly string[], body: readonly unknown[], call: Call = {}): Promise<unknown> {
    const answer = await this.ask(path, body, call);
    call.signal?.throwIfAborted();
    const met = answer instanceof Trouble
      ? answer
      : [answer.result].flat().find((one) => one instanceof Trouble);
    if (met !== undefined) throw faultOf("broker", this.address, met);
    return (answer as Answer).result;
  }
}
