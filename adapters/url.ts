/**
 * Every adapter by URL: `import { transports } from "celeriac/url"`, for apps that are configured as in a `celeryconfig.py`.
 *
 * @module
 */
import type { TransportOptions, Transports } from "../src/app/transports.ts";
import type { Backend } from "../src/backend.ts";
import type { Broker } from "../src/broker.ts";
import { ConfigurationError } from "../src/errors.ts";
import { redactUrl } from "../src/lib/redact.ts";
import { didYouMean } from "../src/lib/suggest.ts";
import { amqpBroker } from "./amqp/tcp.ts";
import { memoryBackend, memoryBroker } from "./memory/mod.ts";
import { redisBackend } from "./redis/tcp.ts";

export type { Transports };

type MakeBroker = (urls: readonly string[], options: TransportOptions) => Broker;
type MakeBackend = (url: string, options: TransportOptions) => Backend;

const amqp: MakeBroker = (urls, { platform, settings }) =>
  amqpBroker(urls, {
    platform,
    connectTimeout: `${settings.brokerConnectionTimeout}ms`,
    publishTimeout: `${settings.publishTimeout}ms`,
  });

const BROKERS: ReadonlyMap<string, MakeBroker> = new Map([
  ["amqp", amqp],
  ["amqps", amqp],
  ["pyamqp", amqp],
  ["memory", (_urls, { platform }) => memoryBroker({ platform })],
]);

const redis: MakeBackend = (url, { platform }) => redisBackend(url, { platform });

const BACKENDS: ReadonlyMap<string, MakeBackend> = new Map([
  ["redis", redis],
  ["rediss", redis],
  ["memory", (_url, { platform }) => memoryBackend({ platform })],
]);

/** Knows AMQP, Redis and the memory pair. Throws `ConfigurationError` "transport-unsupported" for any other scheme. */
export const transports: Transports = {
  broker: (urls, options) => find(BROKERS, "broker", urls[0] ?? "")(urls, options),
  backend: (url, options) => find(BACKENDS, "result backend", url)(url, options),
};

function find<T>(known: ReadonlyMap<string, T>, what: string, url: string): T {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? "";
  const found = known.get(scheme);
  if (found !== undefined) return found;
  const names = [...known.keys()];
  throw new ConfigurationError("transport-unsupported", `There is no ${what} for the URL ${redactUrl(url)}.`, {
    hint: didYouMean(scheme, names) ?? `The schemes are ${names.join(", ")}.`,
  });
}
