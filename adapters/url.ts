/**
 * Every adapter by URL: `import { transports } from "celeriac/url"`, for apps that are configured as in a `celeryconfig.py`.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { transports } from "celeriac/url";
 *
 * export const app: Celery = new Celery("sums", { transports, include: [() => import("./tasks.ts")] });
 * app.configFromObject({ broker_url: "amqp://guest:guest@localhost//", result_backend: "redis://localhost/0" });
 * ```
 *
 * @module
 */
// No time is taken from it, only the end of a turn.
import { setImmediate } from "node:timers";
import type { TransportOptions, Transports } from "../src/app/transports.ts";
import type { Backend } from "../src/backend.ts";
import type { Broker } from "../src/broker.ts";
import { ConfigurationError } from "../src/errors.ts";
import { redactUrl } from "../src/lib/redact.ts";
import { didYouMean } from "../src/lib/suggest.ts";
import type { AmqpOptions } from "./amqp/options.ts";
import { relayBroker } from "./amqp/relay.ts";
import { amqpBroker } from "./amqp/tcp.ts";
import type { WebSocketConstructor } from "./amqp/websocket-like.ts";
import { memoryBackend, memoryBroker } from "./memory/mod.ts";
import { redisBackend, redisBroker } from "./redis/tcp.ts";

export type { Transports };

type MakeBroker = (urls: readonly string[], options: TransportOptions) => Broker;
type MakeBackend = (url: string, options: TransportOptions) => Backend;

/** Celery's default; unsaid is unsaid, and the adapter's own default stands. */
const CELERY_HEARTBEAT = 120_000;
const CELERY_CONNECTION_TIMEOUT = 4000;

const amqp: MakeBroker = (urls, options) =>
  amqpBroker(urls.map((url) => url.replace(/^librabbitmq:/i, "amqp:")), amqpOptions(options));

const relay: MakeBroker = (urls, options) =>
  relayBroker(urls, amqpOptions(options), {
    provide: options.platform.host.runtime === "node" ? nodeWebSocket : undefined,
    later: setImmediate,
  });

/** Node has none before 22, and its own cannot be freed while the other side is silent. */
async function nodeWebSocket(): Promise<WebSocketConstructor> {
  return (await import("ws")).WebSocket;
}

function amqpOptions({ logger, platform, settings }: TransportOptions): AmqpOptions {
  return {
    connectTimeout: `${settings.brokerConnectionTimeout}ms`,
    publishTimeout: `${settings.publishTimeout}ms`,
    failover: settings.brokerFailoverStrategy,
    ...(settings.brokerHeartbeat === CELERY_HEARTBEAT ? {} : { heartbeat: `${settings.brokerHeartbeat}ms` }),
    ...adapterOptions("broker_transport_options", settings.brokerTransportOptions, logger),
    platform,
  };
}

const memory: MakeBroker = (_urls, { logger, platform, settings }) =>
  memoryBroker({
    ...adapterOptions("broker_transport_options", settings.brokerTransportOptions, logger, { known: [] }),
    platform,
  });

/** kombu's defaults of what changes its wire: every peer must have them, and we have no others. */
const WIRE: Readonly<Record<string, string>> = {
  ack_emulation: "true",
  fanout_patterns: "true",
  fanout_prefix: "true",
  priority_steps: "[0,3,6,9]",
  sep: '"\\u0006\\u0016"',
  unacked_index_key: '"unacked_index"',
  unacked_key: '"unacked"',
};

/** What redis-py calls our options. */
const SOCKET: Readonly<Record<string, string>> = {
  socket_timeout: "commandTimeout",
  socket_connect_timeout: "connectTimeout",
};

const redisQueues: MakeBroker = (urls, { logger, platform, settings }) => {
  const [url = ""] = urls;
  if (urls.length > 1 || url.includes(";")) {
    throw new ConfigurationError("broker-url-invalid", "A Redis broker has one URL.", {
      hint: "Another server holds other queues: put a proxy or Sentinel's client before them.",
    });
  }
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(settings.brokerTransportOptions)) {
    const snake = snakeCase(name);
    const wire = WIRE[snake];
    if (wire !== undefined && JSON.stringify(value) !== wire) {
      throw new ConfigurationError(
        "option-invalid",
        `broker_transport_options: celeriac speaks kombu's Redis wire with ${snake} as it is by default (${wire}).`,
        { hint: "Every program on these queues must have the default, or none of them be celeriac's." },
      );
    }
    if (wire === undefined) given[SOCKET[snake] ?? name] = value;
  }
  return redisBroker(url, {
    // What the URL says of it stands.
    ...(settings.brokerConnectionTimeout === CELERY_CONNECTION_TIMEOUT
      ? {}
      : { connectTimeout: `${settings.brokerConnectionTimeout}ms` }),
    publishTimeout: `${settings.publishTimeout}ms`,
    ...adapterOptions("broker_transport_options", given, logger, { used: ["visibility_timeout"] }),
    platform,
  });
};

const BROKERS: ReadonlyMap<string, MakeBroker> = new Map([
  ["amqp", amqp],
  ["amqps", amqp],
  ["pyamqp", amqp],
  ["librabbitmq", amqp],
  ["ws", relay],
  ["wss", relay],
  ["redis", redisQueues],
  ["rediss", redisQueues],
  ["redis+socket", redisQueues],
  ["socket", redisQueues],
  ["memory", memory],
]);

const redis: MakeBackend = (url, { logger, platform, settings }) =>
  redisBackend(url, {
    ...adapterOptions("result_backend_transport_options", settings.resultBackendTransportOptions, logger),
    platform,
  });

const BACKENDS: ReadonlyMap<string, MakeBackend> = new Map([
  ["redis", redis],
  ["rediss", redis],
  ["redis+socket", redis],
  ["socket", redis],
  ["memory", (_url, { platform }) => memoryBackend({ platform })],
]);

/** What Celery and kombu have besides, and what to do instead. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["broker sentinel", "Make an ioredis client for the sentinels and pass it: redisBroker(client)."],
  ["result backend rpc", "The rpc backend is not there yet: keep results in redis://."],
  ["result backend amqp", "Celery has dropped this backend too: keep results in redis://."],
  ["result backend cache+memory", "The backend in memory is memory://."],
  ["result backend cache", "The backend in memory is memory://."],
  ["result backend disabled", "For no results, leave result_backend out."],
  ["result backend sentinel", "Make an ioredis client for the sentinels and pass it: redisBackend(client)."],
]);

/**
 * Knows AMQP (`amqp://`, `amqps://`, `pyamqp://`, `librabbitmq://`; `ws://` and `wss://` through a relay), Redis as broker and for results
 * (`redis://`, `rediss://`, `redis+socket://`) and `memory://`. What `broker_transport_options` and `result_backend_transport_options`
 * say goes to the adapter, in Celery's names or in ours; an option that Celery has and the adapter has not is one warning.
 *
 * Throws `ConfigurationError` "transport-unsupported" for any other scheme, and what the adapters throw for a URL or an option that they
 * cannot read.
 */
export const transports: Transports = {
  broker: (urls, options) => find(BROKERS, "broker", urls[0] ?? "")(urls, options),
  // Celery takes the bare name of a backend, too.
  backend: (url, options) =>
    find(BACKENDS, "result backend", url)(/^[a-z+]+$/i.test(url) ? `${url}://` : url, options),
};

function find<T>(known: ReadonlyMap<string, T>, what: string, url: string): T {
  const scheme = /^([a-z][a-z0-9+.-]*)(?::|$)/i.exec(url)?.[1]?.toLowerCase() ?? "";
  const found = known.get(scheme);
  if (found !== undefined) return found;
  const names = [...known.keys()];
  throw new ConfigurationError(
    "transport-unsupported",
    `There is no ${what} for the URL ${redactUrl(url)}.`,
    {
      hint: ELSEWHERE.get(`${what} ${scheme}`) ??
        // Any short word is near to "ws".
        didYouMean(scheme, names.filter(({ length }) => length > 3)) ??
        `The schemes are ${names.join(", ")}.`,
    },
  );
}

/** Options that Celery's transports take and ours have no use for. */
const IDLE: ReadonlySet<string> = new Set((
  "additional_connection_errors client_properties confirm_publish errback failover_strategy fanout_patterns " +
  "fanout_prefix health_check_interval interval_max interval_start interval_step login_method master_name " +
  "max_connections max_retries polling_interval priority_steps queue_order_strategy read_timeout " +
  "result_chord_ordered retry_on_timeout retry_policy sentinel_kwargs sep socket_keepalive socket_keepalive_options " +
  "socket_settings unacked_mutex_expire unacked_mutex_key unacked_restore_limit visibility_timeout write_timeout"
).split(" "));

/** The adapter's options among Celery's: `known` is all that it has, where that is not for it to say; `used` are not idle there. */
function adapterOptions(
  setting: string,
  given: Readonly<Record<string, unknown>>,
  logger: TransportOptions["logger"],
  { known, used = [] }: { readonly known?: readonly string[]; readonly used?: readonly string[] } = {},
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const snake = snakeCase(name);
    const camel = name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
    if ((IDLE.has(snake) && !used.includes(snake)) || known?.includes(camel) === false) {
      logger.log("warning", `${setting}: celeriac makes no use of ${snake}.`, { setting, option: snake });
    } else options[camel] = value;
  }
  return options;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
