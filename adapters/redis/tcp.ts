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
import { ConfigurationError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import { checkOptionNames } from "../../src/lib/options.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";
import { RedisBackend } from "./backend.ts";
import { LinkCommands } from "./commands.ts";
import { LinkFeed } from "./feed.ts";
import { openDuplicate, openServer, type RedisClient, type ServerOptions, useClient } from "./ioredis.ts";
import { keysUnder } from "./keys.ts";
import type { LinkOptions } from "./link.ts";
import { parseRedisUrl, type RedisTarget, type RedisTls } from "./url.ts";

export type { Duration, Platform, RedisClient, RedisTls };

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
  const platform = options.platform ?? systemPlatform;
  const target = typeof urlOrClient === "string" ? parseRedisUrl(urlOrClient) : undefined;
  const { tls } = options;
  if (tls !== undefined && target?.tls === undefined) {
    throw new ConfigurationError(
      "backend-url-invalid",
      "The option tls goes with a URL of the scheme rediss:// only.",
    );
  }
  const limits = {
    connectTimeout: ms(options.connectTimeout, "connectTimeout") ?? target?.connectTimeout ?? 4000,
    commandTimeout: ms(options.commandTimeout, "commandTimeout") ?? target?.commandTimeout ?? 10_000,
  };
  const { clock } = platform;
  const client = typeof urlOrClient === "string" ? undefined : checked(urlOrClient);
  const server = (role: string) => () => serverOf(target ?? NOWHERE, tls, role);
  const link: Omit<LinkOptions, "open"> = {
    ...limits,
    platform,
    subject: {
      address: target?.address ?? "a client of the program",
      secrets: target?.password === undefined ? [] : [target.password],
    },
  };
  return new RedisBackend({
    commands: new LinkCommands({
      ...link,
      open: client === undefined ? openServer(server("results"), clock) : useClient(client),
    }),
    feed: (listener) =>
      new LinkFeed({
        ...link,
        open: client === undefined ? openServer(server("watch"), clock) : openDuplicate(client, clock),
      }, listener),
    subject: link.subject,
    keys: keysUnder(options.globalKeyprefix),
    platform,
    pollInterval: ms(options.pollInterval, "pollInterval") ?? 1000,
  });
}

const NOWHERE: RedisTarget = { db: 0, address: "" };

function ms(value: Duration | undefined, what: string): number | undefined {
  if (value === undefined) return undefined;
  const duration = toMs(value, what);
  if (duration > 0) return duration;
  throw new ConfigurationError("duration-invalid", `${what} must be more than 0.`);
}

/** The client as it is, if it can serve. */
function checked(client: RedisClient): RedisClient {
  const { call, duplicate, options } = (client ?? {}) as Partial<RedisClient> & {
    readonly options?: { readonly keyPrefix?: string };
  };
  if (typeof call !== "function" || typeof duplicate !== "function") {
    throw new ConfigurationError("backend-client-invalid", "redisBackend takes a URL or an ioredis client.");
  }
  if (options?.keyPrefix !== undefined && options.keyPrefix !== "") {
    throw new ConfigurationError(
      "backend-client-invalid",
      "The client has a keyPrefix, which ioredis puts before keys but not before channels.",
      {
        hint: "Use the option globalKeyprefix, which Celery knows as global_keyprefix.",
      },
    );
  }
  return client;
}

/** What ioredis is told; certificates are read anew for each connection, so that a renewed one is used. */
async function serverOf(
  target: RedisTarget,
  tls: RedisTls | undefined,
  role: string,
): Promise<ServerOptions> {
  const { host, port, path, username, password, db, clientName = `celeriac-${role}`, tls: fromUrl } = target;
  return {
    ...{ host, port, path, username, password, db },
    connectionName: clientName,
    ...(fromUrl === undefined ? {} : { tls: { ...await tlsFiles(fromUrl), ...tls } }),
  };
}

async function tlsFiles(
  { rejectUnauthorized, caFile, certFile, keyFile }: NonNullable<RedisTarget["tls"]>,
): Promise<RedisTls> {
  const { readFile } = await import("node:fs/promises");
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(file, "utf8");
    } catch (cause) {
      throw new ConfigurationError(
        "backend-url-invalid",
        `The file ${file} of the Redis URL cannot be read.`,
        { cause },
      );
    }
  };
  return {
    rejectUnauthorized,
    ...(caFile === undefined ? {} : { ca: await read(caFile) }),
    ...(certFile === undefined ? {} : { cert: await read(certFile) }),
    ...(keyFile === undefined ? {} : { key: await read(keyFile) }),
  };
}
