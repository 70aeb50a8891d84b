/**
 * One connection to Redis, by ioredis, kept from retrying, queueing and reshaping.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { Command as Packet, Redis } from "ioredis";
import type { RedisTarget } from "../../adapters/redis/url.ts";
import type { Command } from "./command.ts";
import type { Reply } from "./reply.ts";

/** Nothing is retried, queued or sent again behind our back. */
const TAMED = {
  lazyConnect: true,
  retryStrategy: null,
  reconnectOnError: null,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: null,
  enableReadyCheck: false,
  disableClientInfo: true,
  // Replies as Upstash's: flat arrays, doubles as strings.
  protocol: 2,
  // Integers beyond 2^53 keep their digits.
  stringNumbers: true,
  disconnectTimeout: 200,
  // The whole request has a timer.
  connectTimeout: 0,
} as const;

/** A connection that is open. */
export class Line {
  /** The client itself, for a subscription. */
  readonly redis: Redis;
  #ended: (() => void) | undefined;

  /** @param ended is called once, when the connection is no more or is not to be used any more */
  constructor(redis: Redis, ended: () => void) {
    this.redis = redis;
    this.#ended = ended;
    // Without a listener ioredis prints; the cause reaches the caller by the rejected promise.
    redis.on("error", () => {});
    redis.on("close", () => this.#end());
    redis.on("end", () => this.#end());
  }

  /** Whether commands can be sent on it. */
  get open(): boolean {
    return this.redis.status === "ready";
  }

  /** Sends all in one go and answers in that order; an error of Redis stands in its place. Rejects when the connection breaks. */
  send(commands: readonly Command[]): Promise<readonly Reply[]> {
    return Promise.all(commands.map(async ({ name, args }) => {
      try {
        return await this.redis.sendCommand(packet(name, args)) as Reply;
      } catch (error) {
        if (isReply(error)) return error;
        throw error;
      }
    }));
  }

  /** Cuts the connection; what is under way on it fails. Idempotent. */
  close(): void {
    this.redis.disconnect();
    this.#end();
  }

  #end(): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.();
  }
}

/** A client that is not connected yet. Certificates are read anew for each, so that a renewed one is used. */
export async function newClient(target: RedisTarget): Promise<Redis> {
  return new Redis({ ...await settings(target), ...TAMED });
}

/** A name in capitals keeps ioredis from reshaping arguments (MSET, HSET) and replies (HGETALL). */
function packet(name: string, args: Command["args"]): Packet {
  return new Packet(name, args.map((arg) => typeof arg === "string" ? arg : Buffer.from(arg)), {});
}

/** Whether it is Redis that says no. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

async function settings({ host, port, path, username, password, db, tls }: RedisTarget): Promise<object> {
  const file = async (name: string | undefined): Promise<string | undefined> =>
    name === undefined ? undefined : await readFile(name, "utf8");
  return {
    ...{ host, port, path, username, password, db, connectionName: "celeriac-gateway" },
    ...(tls === undefined ? {} : {
      tls: {
        rejectUnauthorized: tls.rejectUnauthorized,
        ca: await file(tls.caFile),
        cert: await file(tls.certFile),
        key: await file(tls.keyFile),
      },
    }),
  };
}
