/**
 * Connections by ioredis: loaded when the first one is opened, and kept from retrying, queueing and resending by itself, which would
 * double writes or hang calls (its defaults: 20 silent retries, an endless offline queue, unanswered commands sent again).
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";
import type { Command } from "./client.ts";
import { isRefusal, NotSent } from "./fault.ts";
import type { Connection, ConnectionEvents, Open } from "./link.ts";

/**
 * The part of an ioredis client that is used: `new Redis(…)` of your own fits as it is.
 *
 * The type is not ioredis's own, so that the package is needed by those only who use it.
 */
export interface RedisClient {
  /** Sends one command. */
  call(command: string, args: (string | number)[]): Promise<unknown>;
  /** A second client with the same settings but for `override`: the one that listens. */
  duplicate(override: object): RedisClient;
  /** Connects a duplicate; never called on the client itself. */
  connect(): Promise<void>;
  /** Ends a duplicate; never called on the client itself. */
  disconnect(): void;
  /** Listens to channels, on a duplicate. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Stops listening to channels, on a duplicate. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Listens to patterns of channels, on a duplicate. */
  psubscribe(...patterns: string[]): Promise<unknown>;
  /** Stops listening to patterns, on a duplicate. */
  punsubscribe(...patterns: string[]): Promise<unknown>;
  /** Registers a listener for "message", "pmessage", "error", "connect" and "end", on a duplicate. */
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** ioredis reads `null` where a default is to be switched off. */
const TAMED = {
  lazyConnect: true,
  retryStrategy: null,
  reconnectOnError: null,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: null,
  commandTimeout: undefined,
  // A PING of our own asks for less: INFO may be forbidden, and then each connection prints a warning.
  enableReadyCheck: false,
  disableClientInfo: true,
  // RESP3 is ioredis 6's default and needs Redis 6; nothing here gains by it.
  protocol: 2,
  disconnectTimeout: 200,
  // The link has a timer around the whole of it: TCP, TLS, credentials and the first answer.
  connectTimeout: 0,
};

/** How long a closing socket is waited for, ms: ioredis destroys it after its `disconnectTimeout`. */
const FAREWELL = 500;

/** What ioredis is told of the server. */
export interface ServerOptions {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** A unix socket. */
  readonly path?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly db: number;
  readonly tls?: object;
  readonly connectionName?: string | undefined;
}

/** Opens connections to a server. `server` may read files (certificates), so it is asked each time. */
export function openServer(server: () => Promise<ServerOptions>, clock: Clock): Open {
  return async (events, signal) => {
    const Redis = await library();
    return await open(new Redis({ ...await server(), ...TAMED }), events, signal, clock);
  };
}

/** Opens a connection with the settings of a client that the program gave. */
export function openDuplicate(client: RedisClient, clock: Clock): Open {
  return (events, signal) => open(client.duplicate(TAMED), events, signal, clock);
}

/** Uses the program's own client, which it opens, reconnects and closes. */
export function useClient(client: RedisClient): Open {
  return () =>
    Promise.resolve({
      send: (commands) => send(client, commands),
      subscribe: () => Promise.reject(new Error("not on a client that is shared")),
      unsubscribe: () => Promise.resolve(),
      psubscribe: () => Promise.reject(new Error("not on a client that is shared")),
      punsubscribe: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
}

async function library(): Promise<new (options: object) => RedisClient> {
  try {
    const { Redis } = await import("ioredis");
    return Redis as unknown as new (options: object) => RedisClient;
  } catch (cause) {
    throw new ConfigurationError(
      "package-missing",
      "Redis over TCP needs the package ioredis, which cannot be loaded.",
      {
        cause,
        hint: "Run: npm install ioredis",
      },
    );
  }
}

async function open(
  client: RedisClient,
  events: ConnectionEvents,
  signal: AbortSignal,
  clock: Clock,
): Promise<Connection> {
  let trouble: unknown;
  let ready = false;
  let over = false;
  let leaving = false;
  let ended!: () => void;
  const end = new Promise<void>((resolve) => ended = resolve);
  let giveUp!: (reason: unknown) => void;
  const given = new Promise<never>((_resolve, reject) => giveUp = reject);
  given.catch(() => {});
  const onAbort = (): void => giveUp(signal.reason);

  client.on("error", (error: unknown) => trouble = error);
  client.on("message", (channel: string, text: string) => events.message(channel, text));
  client.on(
    "pmessage",
    (pattern: string, channel: string, text: string) => events.message(pattern, text, channel),
  );
  client.on("connect", () => guard(client));
  client.on("end", () => {
    over = true;
    ended();
    giveUp(trouble ?? new Error("the connection was closed"));
    if (ready) events.lost(trouble ?? new Error("the connection was closed"));
  });
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal.aborted) throw signal.reason;
    await Promise.race([client.connect(), given]);
    // A refused SELECT is only an event to ioredis: it would go on in database 0.
    if (trouble !== undefined) throw trouble;
    const [answer] = await Promise.race([send(client, [["ping"]]), given]);
    if (answer instanceof Error && !answer.message.startsWith("NOPERM")) throw answer;
    if (over) throw new Error("the connection was closed");
    ready = true;
  } catch (error) {
    client.disconnect();
    throw signal.aborted ? signal.reason : trouble ?? error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  return {
    send: (commands) => send(client, commands),
    async subscribe(channels) {
      await client.subscribe(...channels);
    },
    async unsubscribe(channels) {
      await client.unsubscribe(...channels);
    },
    async psubscribe(patterns) {
      await client.psubscribe(...patterns);
    },
    async punsubscribe(patterns) {
      await client.punsubscribe(...patterns);
    },
    async close() {
      ready = false;
      // Each call of it adds a timer and a listener to the socket, and all whose time runs out in one black hole close the connection.
      if (!leaving) client.disconnect();
      leaving = true;
      let timer: Timer | undefined;
      await Promise.race([end, new Promise<void>((resolve) => timer = clock.after(FAREWELL, resolve))]);
      timer?.cancel();
    },
  };
}

function send(client: RedisClient, commands: readonly Command[]): Promise<readonly unknown[]> {
  return Promise.all(commands.map(async ([name, ...args]) => {
    try {
      return await client.call(name, args);
    } catch (error) {
      if (isRefusal(error)) return error;
      throw error instanceof Error && error.message.startsWith("Stream isn't writeable")
        ? new NotSent(error.message)
        : error;
    }
  }));
}

/** ioredis listens for one error of its socket; a second one, which Bun and Deno may emit, would end the process. */
function guard(client: RedisClient): void {
  const { stream } = client as { stream?: { on?(event: "error", listener: () => void): unknown } };
  stream?.on?.("error", () => {});
}
