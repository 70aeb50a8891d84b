/**
 * The options of the gateway, checked.
 *
 * @module
 */
import { parseRedisUrl, type RedisTarget } from "../../adapters/redis/url.ts";
import { ConfigurationError } from "../errors.ts";
import { type Duration, toMs } from "../lib/duration.ts";
import { checkOptionNames } from "../lib/options.ts";
import { systemPlatform } from "../lib/platform.ts";
import type { Platform } from "../lib/port.ts";

/** Options of `createGateway`. A number of time is seconds, a string carries its unit. */
export interface GatewayOptions {
  /**
   * The Redis behind the one `token`; or, for each token, its Redis. URLs as Celery reads them: `redis://…`, `rediss://…`.
   *
   * A database number is no wall between tokens: a script may SELECT another one. Give each its own Redis, or a Redis user whose ACL says
   * what it may touch; that also keeps scripts from what the gateway itself refuses (MIGRATE).
   */
  readonly redis: string | Readonly<Record<string, string>>;
  /** The token that opens the Redis of a single URL. */
  readonly token?: string;
  /** Longest request body in bytes. @default 10485760 */
  readonly maxBody?: number;
  /** Most commands in one pipeline or transaction. @default 10000 */
  readonly maxCommands?: number;
  /** Most arguments in one request, over all its commands; a command's name counts as one. @default 100000 */
  readonly maxArguments?: number;
  /**
   * Most transactions that run at once on one Redis, each on a connection of its own. More of them wait their turn, up to
   * `commandTimeout`.
   *
   * @default 32
   */
  readonly maxTransactions?: number;
  /** Most subscriptions that are open at once. @default 1000 */
  readonly maxSubscriptions?: number;
  /** How long Redis may take for one request, connecting included. @default 10 */
  readonly commandTimeout?: Duration;
  /**
   * How often a subscription in which nothing happens says a word, so that a vanished client is noticed and no server takes it for idle
   * (Bun's does after 10).
   *
   * @default 5
   */
  readonly heartbeat?: Duration;
  /** Time and ids. @default the system's */
  readonly platform?: Platform;
}

/** The bounds of one request. Durations are ms. */
export interface Limits {
  readonly maxBody: number;
  readonly maxCommands: number;
  readonly maxArguments: number;
  readonly maxTransactions: number;
  readonly maxSubscriptions: number;
  readonly commandTimeout: number;
  readonly heartbeat: number;
}

/** The options, read. */
export interface Plan extends Limits {
  readonly targets: ReadonlyMap<string, RedisTarget>;
  readonly platform: Platform;
}

const OPTIONS = [
  "redis",
  "token",
  "maxBody",
  "maxCommands",
  "maxArguments",
  "maxTransactions",
  "maxSubscriptions",
  "commandTimeout",
  "heartbeat",
  "platform",
];

/** @throws {ConfigurationError} `option-unknown`, `option-invalid`, `duration-invalid`, `backend-url-invalid`; no text holds a secret. */
export function readOptions(options: GatewayOptions): Plan {
  checkOptionNames("createGateway", options, OPTIONS);
  return {
    targets: targetsOf(options),
    maxBody: count(options.maxBody, "maxBody", 10 * 1024 * 1024),
    maxCommands: count(options.maxCommands, "maxCommands", 10_000),
    maxArguments: count(options.maxArguments, "maxArguments", 100_000),
    maxTransactions: count(options.maxTransactions, "maxTransactions", 32),
    maxSubscriptions: count(options.maxSubscriptions, "maxSubscriptions", 1000),
    commandTimeout: duration(options.commandTimeout, "commandTimeout", 10_000),
    heartbeat: duration(options.heartbeat, "heartbeat", 5000),
    platform: options.platform ?? systemPlatform,
  };
}

function targetsOf({ redis, token }: GatewayOptions): ReadonlyMap<string, RedisTarget> {
  const pairs = typeof redis === "string" ? [[token, redis] as const] : Object.entries(redis ?? {});
  if (typeof redis !== "string" && token !== undefined) {
    throw invalid("token goes with a single Redis URL; a map has its tokens as its keys.");
  }
  if (pairs.length === 0) throw invalid("redis names no Redis.");
  return new Map(pairs.map(([key, url]) => {
    // A token travels in a header: what no header can carry would open nothing.
    if (typeof key !== "string" || !/^[\x21-\x7e]+$/.test(key)) {
      throw invalid("A token is a text of visible ASCII characters, without spaces.");
    }
    if (typeof url !== "string") throw invalid("A Redis is named by its URL.");
    return [key, parseRedisUrl(url)] as const;
  }));
}

function count(value: number | undefined, name: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw invalid(`${name} is a whole number of at least 1.`);
}

function duration(value: Duration | undefined, name: string, fallback: number): number {
  if (value === undefined) return fallback;
  const ms = toMs(value, name);
  if (ms > 0) return ms;
  throw new ConfigurationError("duration-invalid", `${name} must be more than 0.`);
}

function invalid(message: string): ConfigurationError {
  return new ConfigurationError("option-invalid", message);
}
