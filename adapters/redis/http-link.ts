/**
 * Requests to Upstash by its client: each by a deadline, repeated by us and by nobody else, and with nothing kept between two of them.
 *
 * @module
 */
import type { Call } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import { checkNames } from "../../src/lib/options.ts";
import { pause } from "../../src/lib/pause.ts";
import { ids, random, sendingClock } from "../../src/lib/platform.ts";
import type { BasePlatform, Clock, Ids, Random } from "../../src/lib/port.ts";
import { passes, refused, Trouble, troubleOf } from "./http-trouble.ts";

/**
 * The part of a client of `@upstash/redis` by which it is known: `new Redis(…)` of your own fits as it is, from any of the package's
 * entries and with any settings. Requests go out by the client's own address and token; its retries, pipelines and conversions do not
 * touch them.
 *
 * The type is not the package's own, so that the package is needed by those only who use it.
 */
export interface UpstashClient {
  /** Runs a script. */
  eval(script: string, keys: string[], args: unknown[]): Promise<unknown>;
}

/** Where the server is: its URL and token, or a client of your own. */
export type UpstashServer =
  | {
    /** The REST URL, `https://….upstash.io`. */
    readonly url: string;
    /** The REST token. It is in no error, no log and no `address`. */
    readonly token: string;
    readonly client?: undefined;
  }
  | {
    /** A client of `@upstash/redis`, made by you. */
    readonly client: UpstashClient;
    readonly url?: undefined;
    readonly token?: undefined;
  };

/** Settings that broker and backend share. A number of time is seconds, a string carries its unit. */
export interface UpstashSettings {
  /** Celery's `global_keyprefix`, put before every key and channel. Peers must have the same. @default none */
  readonly globalKeyprefix?: string;
  /** Time, chance and ids. @default the system's */
  readonly platform?: BasePlatform;
}

/** The inside of a client: what sends. */
export interface Requester {
  request(
    request: { readonly path: readonly string[]; readonly body: unknown; readonly signal: () => AbortSignal },
  ): Promise<unknown>;
  readonly baseUrl?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came of a request: an array for several commands, with a {@link Trouble} where one was refused. */
export interface Answer {
  readonly result: unknown;
}

/** The pause before a repeat, ms: it doubles. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1000;

/** What is said where no answer came, by the deadline or before the caller gave up. */
export const LATE = "no answer in time";

/** The shortest time that an attempt gets, ms; else it is half of what is left, so that there is time for another one. */
const SHORTEST = 1000;

/**
 * The inside of a client with its retries off, the client itself left as it is; undefined for what is none. A retry of the client's would hide
 * that an earlier attempt may have been carried out: a fact would count twice, and a message that was stored be called refused.
 */
export function insideOf(client: UpstashClient | undefined): Requester | undefined {
  const inside = (client as { readonly client?: Requester } | undefined)?.client;
  // `retry: false` of the package would send twice.
  return inside?.request && Object.create(inside, { retry: { value: { attempts: 0 } } }) as Requester;
}

/** The shortest time that may be given to a request, seconds. */
export const LEAST = 0.001;

/** Options of the factories, read once. */
export function readOptions<Settings extends UpstashSettings>(
  owner: string,
  given: UpstashClient | (UpstashServer & Settings),
  known: readonly string[],
  check: typeof checkNames = checkNames,
): Settings & UpstashServer {
  // A client has methods, options have none.
  const isClient = typeof (given as Partial<UpstashClient> | undefined)?.eval === "function";
  const options = isClient ? { client: given } : given;
  check(owner, options, ["url", "token", "client", "globalKeyprefix", "platform", ...known]);
  return options as Settings & UpstashServer;
}

/** What a request needs of a platform. */
interface LinkPlatform {
  readonly clock: Pick<Clock, "after" | "now">;
  readonly ids: Ids;
  readonly random: Random;
}

/** See the module. Durations are ms. */
export class HttpLink {
  /** The server without secrets. */
  // What the constructor sets is only declared: a field that is defined first is code in every bundle.
  declare readonly address: string;
  declare readonly platform: LinkPlatform;
  declare readonly timeout: number;
  readonly #server: UpstashServer;
  #requester: Requester | undefined;

  /** `timeout` is for calls that say nothing themselves. */
  constructor(
    { client, url, token, platform = { clock: sendingClock, ids, random } }:
      & UpstashServer
      & { readonly platform?: LinkPlatform },
    timeout: Duration = 10,
  ) {
    this.platform = platform;
    this.timeout = toMs(timeout, "timeout", LEAST);
    const requester = this.#requester = insideOf(client);
    this.#server = { url: clean(url), token: clean(token) };
    // Only a place: no credentials, no query.
    const place = String(requester?.baseUrl ?? this.#server.url);
    const origin = /^(https?:\/\/[^\s#$./?@][^\s/?#@]+)(\/[^\s?#]*)?$/.exec(place)?.[1];
    this.address = origin ?? "redis";
    if (
      client === undefined
        ? origin && /^[!-~]+$/.test(this.#server.token)
        : requester && (url ?? token) === undefined
    ) return;
    throw new ConfigurationError(
      "option-invalid",
      "Give { url, token }, or { client } of @upstash/redis.",
    );
  }

  /**
   * The result of one request, or what became of it. `once`: it is not repeated when its answer was lost. Throws only what is wrong with the
   * set-up.
   */
  async ask(
    path: readonly string[],
    body: readonly unknown[],
    { signal, deadline }: Call = {},
    once = false,
  ): Promise<Answer | Trouble> {
    const { clock, random } = this.platform;
    const end = deadline ?? clock.now() + this.timeout;
    const requester = this.#requester ??= await load(this.#server);
    const token = requester.headers?.["authorization"]?.slice("Bearer ".length);
    /** The latest doubt, else what was met first. */
    let told: Trouble | undefined;
    for (let wait = FIRST_PAUSE;; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
      const now = clock.now();
      if (signal?.aborted || now >= end) return told ?? new Trouble("timeout", LATE, false);
      const stop = new AbortController();
      let met = new Trouble("timeout", LATE);
      try {
        const left = end - now;
        const most = once ? left : Math.max(Math.min(left, SHORTEST), left / 2);
        const reply = await Promise.race([
          pause(clock, most, signal, stop.signal),
          requester.request({ path, body, signal: () => stop.signal }),
        ]);
        if (Array.isArray(reply)) return { result: reply.map(resultOf) };
        const result = reply === undefined ? met : resultOf(reply);
        if (!(result instanceof Trouble)) return { result };
        met = result;
      } catch (error) {
        met = troubleOf(error, token);
      } finally {
        stop.abort();
      }
      if (met.doubt || !told) told = met;
      if (once || !told.doubt || !passes(met) || signal?.aborted) return told;
      await pause(clock, Math.min(end - clock.now(), wait * (0.5 + random.next() / 2)), signal);
    }
  }
}

function clean(text: unknown): string {
  return typeof text === "string" ? text.trim() : "";
}

function resultOf(reply: unknown): unknown {
  const { result, error } = Object(reply) as { readonly result?: unknown; readonly error?: unknown };
  return result === undefined ? refused(String(error ?? LATE)) : result;
}

async function load({ url, token }: UpstashServer): Promise<Requester> {
  let library: object;
  try {
    // The one entry that needs nothing of Node.
    library = await import("@upstash/redis/cloudflare");
  } catch (cause) {
    throw new ConfigurationError(
      "package-missing",
      "@upstash/redis cannot be loaded.",
      {
        cause,
        hint: "Run: npm install @upstash/redis",
      },
    );
  }
  const { Redis } = library as { readonly Redis: new (options: object) => UpstashClient };
  // Unless it is told otherwise it reads its own writes: databases in several regions answer from the nearest copy, which may not have seen
  // them yet. Its pipelines have nothing to do with requests.
  const client = new Redis({
    url,
    token,
    enableTelemetry: false,
    // What is read is ASCII. In base64 it is a third longer, and where a server does not know the header, text would be taken for base64.
    responseEncoding: false,
  });
  return insideOf(client) as Requester;
}
