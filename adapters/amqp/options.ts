/**
 * The options of an AMQP broker and their defaults.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";
import { didYouMean } from "../../src/lib/suggest.ts";
import type { Backoff } from "./backoff.ts";

/**
 * What `declare` does: `"declare"` makes what is missing; `"passive"` only asks whether exchanges and queues exist (for a user without the
 * right to configure); `"leave"` does nothing. Private inboxes are always declared.
 */
export type Topology = "declare" | "passive" | "leave";

/** Options of every AMQP broker, whatever the transport. */
export interface AmqpOptions {
  /** Where time, chance and ids come from. */
  readonly platform?: Platform;
  /** What `declare` does. @default "declare" */
  readonly topology?: Topology;
  /**
   * The heartbeat interval offered to the broker, whole seconds; the smaller one of ours and the broker's counts, 0 is off. A silent
   * link is given up after two intervals.
   *
   * @default "60s" (what RabbitMQ suggests; Celery's 120 s would notice a dead link after four minutes)
   */
  readonly heartbeat?: Duration;
  /** How long one attempt to connect may take (Celery: `broker_connection_timeout`). @default "4s" */
  readonly connectTimeout?: Duration;
  /** When a publish without a deadline of its own is given up, and a declaration too. @default "30s" */
  readonly publishTimeout?: Duration;
  /** How long `close()` waits for confirms and for the broker's goodbye. @default "5s" */
  readonly closeTimeout?: Duration;
  /** How many publishes may wait for their confirm; the next ones wait to be sent. @default 1000 */
  readonly maxInFlight?: number;
  /** The largest body in bytes; a larger one is refused before it is sent. @default 134217728 (RabbitMQ 3; RabbitMQ 4 has 16777216) */
  readonly maxMessage?: number;
  /** Reconnecting waits for anything from 0 to `min`, doubled with each failure up to `max`. @default { min: "250ms", max: "10s" } */
  readonly reconnect?: { readonly min?: Duration; readonly max?: Duration };
  /** What RabbitMQ's management calls our connections. @default "celeriac" */
  readonly name?: string;
}

/** The options with their defaults, durations in ms. */
export interface Settings {
  readonly platform: Platform;
  readonly topology: Topology;
  /** Whole seconds. */
  readonly heartbeat: number;
  readonly connectTimeout: number;
  readonly publishTimeout: number;
  readonly closeTimeout: number;
  readonly maxInFlight: number;
  readonly maxMessage: number;
  readonly reconnect: Backoff;
  readonly name: string;
}

const KNOWN: Readonly<Record<keyof AmqpOptions, true>> = {
  platform: true,
  topology: true,
  heartbeat: true,
  connectTimeout: true,
  publishTimeout: true,
  closeTimeout: true,
  maxInFlight: true,
  maxMessage: true,
  reconnect: true,
  name: true,
};

/** @throws {ConfigurationError} `option-unknown`, `option-invalid`, `duration-invalid`. */
export function readOptions(options: AmqpOptions): Settings {
  checkNames(options, Object.keys(KNOWN), "");
  checkNames(options.reconnect ?? {}, ["min", "max"], "reconnect.");
  const topology = options.topology ?? "declare";
  if (!["declare", "passive", "leave"].includes(topology)) {
    throw new ConfigurationError("option-invalid", 'topology must be "declare", "passive" or "leave".');
  }
  return {
    platform: options.platform ?? systemPlatform,
    topology,
    heartbeat: Math.min(65_535, Math.ceil(toMs(options.heartbeat ?? "60s", "heartbeat") / 1000)),
    connectTimeout: toMs(options.connectTimeout ?? "4s", "connectTimeout"),
    publishTimeout: toMs(options.publishTimeout ?? "30s", "publishTimeout"),
    closeTimeout: toMs(options.closeTimeout ?? "5s", "closeTimeout"),
    maxInFlight: positive(options.maxInFlight ?? 1000, "maxInFlight"),
    maxMessage: positive(options.maxMessage ?? 134_217_728, "maxMessage"),
    reconnect: {
      min: toMs(options.reconnect?.min ?? "250ms", "reconnect.min"),
      max: toMs(options.reconnect?.max ?? "10s", "reconnect.max"),
    },
    name: options.name ?? "celeriac",
  };
}

function checkNames(options: object, known: readonly string[], prefix: string): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = didYouMean(name, known);
    throw new ConfigurationError(
      "option-unknown",
      `The AMQP broker has no option ${JSON.stringify(prefix + name)}.`,
      hint === undefined ? {} : { hint },
    );
  }
}

function positive(value: number, name: string): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new ConfigurationError("option-invalid", `${name} must be a positive integer.`);
}
