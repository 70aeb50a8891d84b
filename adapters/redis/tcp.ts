/**
 * Celery's Redis result backend over TCP: `import { redisBackend } from "celeriac/redis"`.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { redisBackend } from "celeriac/redis";
 *
 * const app = new Celery("sums", { backend: redisBackend("rediss://:password@cache.example.org/0") });
 * console.log(await app.result("2f0c4a0e-…").get({ timeout: 5 }));
 * await app.close();
 * ```
 *
 * @module
 */
import type { Backend } from "../../src/backend.ts";
import type { Broker } from "../../src/broker.ts";
import type { Duration } from "../../src/lib/duration.ts";
import { demand } from "../../src/lib/demand.ts";
import { checkOptionNames } from "../../src/lib/options.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";
import { RedisBackend } from "./backend.ts";
import { RedisBroker } from "./broker.ts";
import { LinkCommands } from "./commands.ts";
import { LinkFeed } from "./feed.ts";
import type { RedisClient } from "./ioredis.ts";
import { keysUnder } from "./keys.ts";
import { positive, serverOf } from "./server.ts";
import type { Topology } from "./topology.ts";
import type { RedisTls } from "./url.ts";

export type { Duration, Platform, RedisClient, RedisTls, Topology };

/** Options of {@link redisBroker}. A number of time is seconds, a string carries its unit. */
export interface RedisBrokerOptions {
  /** kombu's `global_keyprefix` (in `broker_transport_options`), put before every key as it is. Peers must have the same. @default none */
  readonly globalKeyprefix?: string;
  /**
   * What becomes of the queues and exchanges that a program names. "declare": missing bindings are written. "passive": they are only asked
   * for, and one that is not there is `queue-missing`; whether the list of a queue is there says nothing, since an empty one is not. "leave":
   * neither. @default "declare"
   */
  readonly topology?: Topology;
  /**
   * kombu's `visibility_timeout`: what another program claimed and did not settle within it goes back to its queue. The shortest one of all
   * consumers of a database counts for all of them. Our own leases are renewed while the consumer lives.
   *
   * @default 3600, as in Celery
   */
  readonly visibilityTimeout?: Duration;
  /**
   * How long a consumer of ours may be silent (its process killed, or its event loop blocked) until another one of ours puts back what it
   * held. It speaks four times as often.
   *
   * @default 120, after which a silent link to RabbitMQ is given up, too
   */
  readonly consumerTimeout?: Duration;
  /** When a publish without a deadline of its own is given up, and a declaration too. @default 30 */
  readonly publishTimeout?: Duration;
  /** How long the server may take to answer; longer is a lost link. @default 5, or the URL's `socket_timeout` */
  readonly commandTimeout?: Duration;
  /** How long one attempt to connect may take, up to the server's first answer. @default 4, or the URL's `socket_connect_timeout` */
  readonly connectTimeout?: Duration;
  /** How long `close()` waits for what is on its way. @default 5 */
  readonly closeTimeout?: Duration;
  /** The longest pause before a lost link is opened again; it begins at 50 ms and doubles. @default 5 */
  readonly reconnectMax?: Duration;
  /** The largest body in bytes; a larger one is refused before it is sent. @default 67108864: with its base64 a quarter of what Redis takes */
  readonly maxMessage?: number;
  /** More on TLS than the URL says; the URL must be `rediss://`. */
  readonly tls?: RedisTls;
  /** Time, chance and ids. @default the system's */
  readonly platform?: Platform;
}

const BROKER_OPTIONS = [
  "globalKeyprefix",
  "topology",
  "visibilityTimeout",
  "consumerTimeout",
  "publishTimeout",
  "commandTimeout",
  "connectTimeout",
  "closeTimeout",
  "reconnectMax",
  "maxMessage",
  "tls",
  "platform",
];

/**
 * Celery's Redis broker on kombu's wire: producers and workers of Python share its queues, in either direction. What kombu loses or doubles
 * it does not: a message is claimed in one step on the server, its lease is renewed while it is worked on, a settlement that comes too late
 * does nothing and says so, and what is given back stands at the front of its queue.
 *
 * Needs the package `ioredis`, loaded with the first call; or takes an ioredis client of your own, which stays yours: it publishes, and
 * consuming and listening use connections with its settings.
 *
 * No I/O before the first call. As kombu has it: priority 0 is the most urgent, and of 0 to 9 there are four steps; a fanout message reaches
 * the subscriptions and consumers of the moment, at most once; "*" of a topic takes dots; the default exchange makes the queue that it is told of, so that only a named
 * exchange has unroutable messages; queue arguments, `exclusive` and `autoDelete` mean nothing, and a rejected message is gone.
 *
 * A publish whose answer was lost is sent again until its deadline and stands there once. Confirmed means in Redis's memory: what its
 * persistence keeps is the server's affair. Where its `maxmemory-policy` may throw queues away, `observe` tells of it (`redis-eviction`).
 *
 * Errors are `ConnectionError` with the codes `broker-unreachable`, `broker-timeout`, `broker-credentials-refused`, `broker-tls`,
 * `broker-refused` (out of memory, wrong type), `broker-unavailable` (loading, read-only) and `broker-closed`.
 *
 * @throws {ConfigurationError} `broker-url-invalid`, `option-unknown`, `option-invalid`, `duration-invalid`, `backend-client-invalid`; and
 * from the first call `package-missing`.
 */
export function redisBroker(urlOrClient: string | RedisClient, options: RedisBrokerOptions = {}): Broker {
  checkOptionNames("redisBroker", options, BROKER_OPTIONS);
  const { globalKeyprefix = "", maxMessage = 64 * 1024 * 1024, platform = systemPlatform } = options;
  const { topology = "declare" } = options;
  demand(/^(declare|passive|leave)$/.test(topology), "topology", "declare, passive or leave");
  demand(Number.isInteger(maxMessage) && maxMessage > 0, "maxMessage", "a positive integer");
  const { commandTimeout = 5000, ...server } = serverOf(
    "broker",
    "redisBroker",
    urlOrClient,
    options,
    platform.clock,
  );
  return new RedisBroker({
    server,
    commandTimeout,
    prefix: globalKeyprefix,
    topology,
    platform,
    maxMessage,
    visibilityTimeout: positive(options.visibilityTimeout, "visibilityTimeout") ?? 3_600_000,
    consumerTimeout: positive(options.consumerTimeout, "consumerTimeout") ?? 120_000,
    publishTimeout: positive(options.publishTimeout, "publishTimeout") ?? 30_000,
    closeTimeout: positive(options.closeTimeout, "closeTimeout") ?? 5000,
    reconnectMax: positive(options.reconnectMax, "reconnectMax") ?? 5000,
  });
}

/** Options of {@link redisBackend}. A number of time is seconds, a string carries its unit. */
export interface RedisBackendOptions {
  /**
   * Celery's `global_keyprefix` (in `result_backend_transport_options`): put before every key and channel, with "_" between unless it
   * ends in one of `:_-.`. Peers must have the same.
   *
   * @default none
   */
  readonly globalKeyprefix?: string;
  /**
   * How often results that are waited for are read, besides being told by pub/sub: the longest that a lost message can delay a `get`.
   *
   * @default 1
   */
  readonly pollInterval?: Duration;
  /** How long a call may take, reconnecting included. @default 10 */
  readonly commandTimeout?: Duration;
  /** How long one attempt to connect may take, up to the server's first answer. @default 4 */
  readonly connectTimeout?: Duration;
  /** More on TLS than the URL says; the URL must be `rediss://`. */
  readonly tls?: RedisTls;
  /** Time, chance and ids. @default the system's */
  readonly platform?: Platform;
}

const OPTIONS = ["globalKeyprefix", "pollInterval", "commandTimeout", "connectTimeout", "tls", "platform"];

/**
 * Keeps results where Python Celery's Redis backend keeps them: `celery-task-meta-<id>`, announced on the channel of the same name; either
 * side reads what the other one stored. A stored SUCCESS is never overwritten, checked and written in one step (Celery: two).
 *
 * Needs the package `ioredis`, loaded with the first call; or takes an ioredis client of your own, which stays yours: it is not closed, and
 * its own settings say how it reconnects. Waiting for results uses a second connection, with the client's settings.
 *
 * No I/O before the first call. Every call settles within `commandTimeout`; errors are `ConnectionError` with the codes
 * `backend-unreachable`, `backend-timeout`, `backend-credentials-refused`, `backend-tls-refused`, `backend-refused` (the server's word:
 * out of memory, wrong type), `backend-unavailable` (loading, read-only) and `backend-closed`. A server that was there before is waited for
 * until then; one that never was is an error at once. Results are written again when the link broke before the answer, which leaves the
 * same behind.
 *
 * @throws {ConfigurationError} `backend-url-invalid`, `option-unknown`, `duration-invalid`, `backend-client-invalid`; and from the first
 * call `package-missing`.
 */
export function redisBackend(urlOrClient: string | RedisClient, options: RedisBackendOptions = {}): Backend {
  checkOptionNames("redisBackend", options, OPTIONS);
  const { globalKeyprefix, platform = systemPlatform, pollInterval } = options;
  const server = serverOf("backend", "redisBackend", urlOrClient, options, platform.clock);
  const { connectTimeout, commandTimeout = 10_000, subject } = server;
  const link = { connectTimeout, commandTimeout, platform, subject };
  return new RedisBackend({
    commands: new LinkCommands({ ...link, open: server.shared("results") }),
    feed: (listener) => new LinkFeed({ ...link, open: server.own("watch") }, listener),
    subject,
    keys: keysUnder(globalKeyprefix),
    platform,
    pollInterval: positive(pollInterval, "pollInterval") ?? 1000,
  });
}
