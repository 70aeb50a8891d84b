/**
 * Celery on Redis over HTTP, for Upstash and what speaks its REST protocol: `import { upstashBroker, upstashBackend } from "celeriac/upstash"`;
 * a `Producer` in the smallest of bundles takes `upstashPublisher`.
 *
 * @example
 * ```ts
 * import { Producer, resultOf } from "celeriac/producer";
 * import { upstashBackend, upstashPublisher } from "celeriac/upstash";
 *
 * const server = { url: "https://redis.example.org", token: "…" };
 * const producer = new Producer({ broker: upstashPublisher(server) });
 * const sent = await producer.sendTask<number>("tasks.add", { args: [2, 3] });
 * console.log(await resultOf(upstashBackend(server), sent).get({ timeout: 5 }));
 * ```
 *
 * @module
 */
import type { Backend } from "../../src/backend.ts";
import type { Broker, PublishBroker } from "../../src/broker.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import { checkOptionNames } from "../../src/lib/options.ts";
import { basePlatform } from "../../src/lib/platform.ts";
import type { BasePlatform } from "../../src/lib/port.ts";
import { RedisBackend } from "./backend.ts";
import { HttpBroker } from "./http-broker.ts";
import { HttpCommands } from "./http-commands.ts";
import { type Door, HttpFeed } from "./http-feed.ts";
import {
  HttpLink,
  insideOf,
  LEAST,
  readOptions,
  type UpstashClient,
  type UpstashServer,
  type UpstashSettings,
} from "./http-link.ts";
import { HttpPublisher } from "./http-publisher.ts";
import { keysUnder } from "./keys.ts";

export type { BasePlatform, Duration, UpstashClient, UpstashServer, UpstashSettings };

/** Settings of {@link upstashBroker}. A number of time is seconds, a string carries its unit. */
export interface UpstashBrokerSettings extends UpstashSettings {
  /**
   * How long a publish may take where the call names no deadline, repeats included. `Producer` and `Celery` always name theirs (their own
   * `publishTimeout`), so that this is for calls of the broker itself.
   *
   * @default 10
   */
  readonly publishTimeout?: Duration;
}

/** More settings of {@link upstashBroker}, for who consumes. */
export interface UpstashConsumerSettings {
  /**
   * The longest pause between two looks into the queues; after a message it begins at 0.1 s and grows by half each time. Each look is one
   * command: at rest 17,280 a day with the default.
   *
   * @default 5
   */
  readonly pollInterval?: Duration;
  /** As `redisBroker` has it: when what another program claimed and did not settle goes back to its queue. @default 3600 */
  readonly visibilityTimeout?: Duration;
  /** As `redisBroker` has it: how long a consumer of ours may be silent. @default 600 */
  readonly consumerTimeout?: Duration;
}

/** Settings of {@link upstashBackend}. A number of time is seconds, a string carries its unit. */
export interface UpstashBackendSettings extends UpstashSettings {
  /**
   * The longest pause between two reads of a result that is waited for. Without streams the pauses grow from 0.1 s to this; with them three
   * times this is the pause, and the longest that a lost message can delay a `get`.
   *
   * @default 5
   */
  readonly pollInterval?: Duration;
  /** How long a call may take where it says nothing itself, repeats included. @default 10 */
  readonly commandTimeout?: Duration;
}

/** Options of {@link upstashBroker}. */
export type UpstashBrokerOptions = UpstashServer & UpstashBrokerSettings & UpstashConsumerSettings;

/** Options of {@link upstashPublisher}. */
export type UpstashPublisherOptions = UpstashServer & UpstashBrokerSettings;

/** Options of {@link upstashBackend}. */
export type UpstashBackendOptions = UpstashServer & UpstashBackendSettings;

/** How long a consumer waits for an answer, s. */
const PATIENCE = 4;

/**
 * Celery's Redis broker over HTTP: what it publishes is kombu's, byte for byte, in the lists and binding sets where workers on Redis look for
 * it, Python's and ours; and it consumes them by looking again and again, with the leases of `redisBroker`. There are no subscriptions over
 * HTTP: `subscribe` throws `subscribe-unsupported`.
 *
 * Takes the REST URL and token, or a client of `@upstash/redis` of your own, with any settings; needs that package, loaded with the first
 * call. No I/O before it, and a publish keeps nothing for the next one, so that one broker serves all requests of an edge function.
 *
 * A publish, or a batch, is one request with its declarations in it, one script on the server (a batch of more than 7 MB goes as several). It
 * carries an id under which the server remembers the outcome for two minutes beyond the deadline (`celeriac:pub:…`, about 150 bytes), and is
 * therefore repeated until the deadline when its answer is lost, without doubling a message. Where no answer comes until then, the verdict is
 * `unknown`; `refused` is what was certainly not stored. A refusal (token, out of memory, too many requests) is told at once, with `retry`
 * where a repeat may help.
 *
 * As kombu has it: priority 0 is the most urgent, and of 0 to 9 there are four steps; a fanout message reaches the workers that listen now;
 * "*" of a topic takes dots; the default exchange makes the queue that it is told of, so that only a named exchange has unroutable messages.
 *
 * @throws {ConfigurationError} `option-invalid`, `option-unknown`, `duration-invalid`; and from the first call
 * `package-missing`. Calls other than `publish` throw {@link ConnectionError} with `broker-credentials-refused`, `broker-refused`,
 * `broker-unavailable`, `broker-unreachable`, `broker-lost`, `broker-timeout`.
 */
export function upstashBroker(server: UpstashClient | UpstashBrokerOptions): Broker {
  const options = readOptions<UpstashBrokerSettings & UpstashConsumerSettings>(
    "upstashBroker",
    server,
    [...PUBLISHING, "pollInterval", "visibilityTimeout", "consumerTimeout"],
    checkOptionNames,
  );
  const { consumerTimeout = 600, pollInterval = 5, visibilityTimeout = 3600 } = options;
  return new HttpBroker(options, {
    link: new HttpLink(options, PATIENCE),
    platform: options.platform ?? basePlatform,
    pollInterval: toMs(pollInterval, "pollInterval", LEAST),
    visibilityTimeout: toMs(visibilityTimeout, "visibilityTimeout", LEAST),
    consumerTimeout: toMs(consumerTimeout, "consumerTimeout", LEAST),
  });
}

/**
 * The sending half of {@link upstashBroker} alone, for a `Producer` in the smallest of bundles: the same but for `declare`, `count`, `purge`,
 * `consume` and the like, and a batch is always one request, which Upstash refuses where it is over 10 MB.
 *
 * @throws {ConfigurationError} `option-invalid`, `option-unknown`, `duration-invalid`; and from the first call `package-missing`.
 */
export function upstashPublisher(server: UpstashClient | UpstashPublisherOptions): PublishBroker {
  return new HttpPublisher(readOptions("upstashPublisher", server, PUBLISHING));
}

/** The settings of both that a backend has not. */
const PUBLISHING = ["publishTimeout"];

/** The first pause of a poll, ms, and by how much the next is longer. */
const POLL = { first: 100, growth: 1.5 };

/**
 * Celery's Redis result backend over HTTP: the same keys and announcements as `redisBackend` and Python's, so that an edge function reads what
 * a worker stored, and the other way about.
 *
 * Takes the REST URL and token, or a client of `@upstash/redis` of your own, with any settings; needs that package, loaded with the first
 * call. No I/O before it, and nothing is kept between two calls.
 *
 * `watch` reads once, then opens a stream (`/subscribe`), and polls where the server has none, does not answer, or for more than three tasks
 * at once: after 0.1 s, then half as long again each time, up to `pollInterval`. One poll is one command for all tasks of the wait: 10 in
 * the first 12 s, then 12 a minute. A stream costs two commands (subscribe, and a read behind it) and a read every 15 s.
 *
 * Every request has a deadline; leaving a wait, its signal or deadline end its requests at once. Errors are {@link ConnectionError} with the
 * codes `backend-credentials-refused`, `backend-refused`, `backend-unavailable`, `backend-unreachable`, `backend-lost`, `backend-timeout`
 * and `backend-closed`; none holds the token, the command or its arguments. Reads, and writes that leave the same behind, are repeated
 * until the deadline when their answer is lost; facts that count or take a lock are sent once.
 *
 * @throws {ConfigurationError} `option-invalid`, `option-unknown`, `duration-invalid`; and from the first
 * call `package-missing`.
 */
export function upstashBackend(server: UpstashClient | UpstashBackendOptions): Backend {
  const names = ["pollInterval", "commandTimeout"];
  const options = readOptions<UpstashBackendSettings>("upstashBackend", server, names, checkOptionNames);
  const platform = options.platform ?? basePlatform;
  const link = new HttpLink(options, options.commandTimeout);
  const pollInterval = toMs(options.pollInterval ?? 5, "pollInterval", LEAST);
  const door = doorOf(options);
  const streaming = { refused: door === undefined };
  return new RedisBackend({
    commands: new HttpCommands(link),
    feed: (listener) =>
      door === undefined || streaming.refused
        ? undefined
        : new HttpFeed(platform.clock, door, streaming, listener),
    subject: { address: link.address, secrets: door === undefined ? [] : [door.token] },
    keys: keysUnder(options.globalKeyprefix),
    platform,
    pollInterval,
    pace: (polls, told) =>
      told ? 3 * pollInterval : Math.min(pollInterval, POLL.first * POLL.growth ** polls),
  });
}

/** Where streams are opened, beside the client; undefined for a client that hides it. */
function doorOf({ url, token, client }: UpstashServer): Door | undefined {
  if (url !== undefined) return { url: url.trim().replace(/\/$/, ""), token: token.trim() };
  const { baseUrl, headers } = insideOf(client) ?? {};
  const [, bearer] = /^Bearer (.+)$/.exec(headers?.["authorization"] ?? "") ?? [];
  return typeof baseUrl === "string" && bearer !== undefined ? { url: baseUrl, token: bearer } : undefined;
}
