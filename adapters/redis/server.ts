/**
 * From what the program says of its Redis, a URL or a client, to how connections to it are opened.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import type { Clock } from "../../src/lib/port.ts";
import { CODES, type Role } from "./codes.ts";
import type { Subject } from "./fault.ts";
import { openDuplicate, openServer, type RedisClient, type ServerOptions, useClient } from "./ioredis.ts";
import type { Open } from "./link.ts";
import { parseRedisUrl, type RedisTarget, type RedisTls } from "./url.ts";

/** What both factories are told. */
export interface Told {
  readonly connectTimeout?: Duration;
  readonly commandTimeout?: Duration;
  readonly tls?: RedisTls;
}

/** A server, or a client of the program's. */
export interface Server {
  readonly subject: Subject;
  readonly db: number;
  /** ms. */
  readonly connectTimeout: number;
  /** ms; undefined where neither the URL nor an option says. */
  readonly commandTimeout: number | undefined;
  /** Opens connections of our own; `role` is in their name. */
  own(role: string): Open;
  /** Where commands may go over the program's own client, which it opens, reconnects and closes. */
  shared(role: string): Open;
}

/**
 * Reads what the program says. `owner` is the factory's name.
 *
 * @throws {ConfigurationError} `broker-url-invalid` or `backend-url-invalid`, `backend-client-invalid`, `duration-invalid`.
 */
export function serverOf(
  role: Role,
  owner: string,
  urlOrClient: string | RedisClient,
  { connectTimeout, commandTimeout, tls }: Told,
  clock: Clock,
): Server {
  const target = typeof urlOrClient === "string" ? parseRedisUrl(urlOrClient, role) : undefined;
  if (tls !== undefined && target?.tls === undefined) {
    throw new ConfigurationError(
      CODES[role].url,
      "The option tls goes with a URL of the scheme rediss:// only.",
    );
  }
  const limits = {
    connectTimeout: positive(connectTimeout, "connectTimeout") ?? target?.connectTimeout ?? 4000,
    commandTimeout: positive(commandTimeout, "commandTimeout") ?? target?.commandTimeout,
  };
  if (target !== undefined) {
    const own = (name: string): Open => openServer(() => optionsOf(role, target, tls, name), clock);
    const secrets = target.password === undefined ? [] : [target.password];
    return {
      ...limits,
      subject: { role, address: target.address, secrets },
      db: target.db,
      own,
      shared: own,
    };
  }
  const client = checked(owner, urlOrClient as RedisClient);
  return {
    ...limits,
    subject: { role, address: "a client of the program", secrets: [] },
    db: client.options?.db ?? 0,
    own: () => openDuplicate(client, clock),
    shared: () => useClient(client),
  };
}

/** The duration in ms, more than 0. */
export function positive(value: Duration | undefined, what: string): number | undefined {
  if (value === undefined) return undefined;
  const duration = toMs(value, what);
  if (duration > 0) return duration;
  throw new ConfigurationError("duration-invalid", `${what} must be more than 0.`);
}

type Client = RedisClient & { readonly options?: { readonly keyPrefix?: string; readonly db?: number } };

/** The client as it is, if it can serve. */
function checked(owner: string, client: RedisClient): Client {
  const { call, duplicate, options } = (client ?? {}) as Partial<Client>;
  if (typeof call !== "function" || typeof duplicate !== "function") {
    throw new ConfigurationError("backend-client-invalid", `${owner} takes a URL or an ioredis client.`);
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
async function optionsOf(
  role: Role,
  target: RedisTarget,
  tls: RedisTls | undefined,
  name: string,
): Promise<ServerOptions> {
  const { host, port, path, username, password, db, clientName = `celeriac-${name}`, tls: fromUrl } = target;
  return {
    ...{ host, port, path, username, password, db },
    connectionName: clientName,
    ...(fromUrl === undefined ? {} : { tls: { ...await tlsFiles(role, fromUrl), ...tls } }),
  };
}

async function tlsFiles(
  role: Role,
  { rejectUnauthorized, caFile, certFile, keyFile }: NonNullable<RedisTarget["tls"]>,
): Promise<RedisTls> {
  const { readFile } = await import("node:fs/promises");
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(file, "utf8");
    } catch (cause) {
      throw new ConfigurationError(
        CODES[role].url,
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
