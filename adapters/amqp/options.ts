/**
 * The options of an AMQP broker and their defaults.
 *
 * @module
 */
import { demand } from "../../src/lib/demand.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import { checkNames, checkOptionNames, defined } from "../../src/lib/options.ts";
import { basePlatform, senderPlatform } from "../../src/lib/platform.ts";
import type { BasePlatform, Clock } from "../../src/lib/port.ts";
import type { Backoff } from "./backoff.ts";

/**
 * What `declare` does: `"declare"` makes what is missing; `"passive"` only asks whether exchanges and queues exist (for a user without the
 * right to configure); `"leave"` does nothing. Private inboxes are always declared.
 */
export type Topology = "declare" | "passive" | "leave";

/** Options of every AMQP broker, whatever the transport. */
export interface AmqpOptions {
  /** Where time, chance and ids come from. */
  readonly platform?: BasePlatform;
  /** What `declare` does. @default "declare" */
  readonly topology?: Topology;
  /**
   * How long a connection lives. `"shared"`: opened once, and again when it is lost. `"call"`: each call opens one of its own, declares,
   * publishes, and has said goodbye on it when it settles, so that nothing is left of a request; a consumer or a subscription has one for
   * its own life.
   *
   * @default "call" in workerd, where no connection may be used by another request, else "shared"
   */
  readonly link?: "shared" | "call";
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
  /** Which of several URLs comes after one that failed: the next one, or any (Celery: `broker_failover_strategy`). @default "round-robin" */
  readonly failover?: "round-robin" | "shuffle";
}

/** Options of a publisher: those that mean something where each call opens a connection of its own. */
export type PublisherOptions = Omit<
  AmqpOptions,
  "closeTimeout" | "failover" | "heartbeat" | "link" | "reconnect"
>;

/** The settings of what only publishes with a connection for each call: it asks less of the platform. Durations in ms. */
export interface CallSettings {
  readonly platform: { readonly clock: Pick<Clock, "after" | "now"> };
  readonly topology: Topology;
  readonly connectTimeout: number;
  readonly publishTimeout: number;
  readonly maxInFlight: number;
  readonly maxMessage: number;
  readonly name: string;
}

/** The options with their defaults, durations in ms. */
export interface Settings extends CallSettings {
  readonly platform: BasePlatform;
  readonly link: "shared" | "call";
  readonly failover: "round-robin" | "shuffle";
  /** Whole seconds. */
  readonly heartbeat: number;
  readonly closeTimeout: number;
  readonly reconnect: Backoff;
}

const CALL_DEFAULTS: Required<Omit<PublisherOptions, "platform">> = {
  topology: "declare",
  connectTimeout: "4s",
  publishTimeout: "30s",
  maxInFlight: 1000,
  maxMessage: 134_217_728,
  name: "celeriac",
};

/** @throws {ConfigurationError} `option-unknown`, `option-invalid`, `duration-invalid`. */
export function readOptions(given: AmqpOptions): Settings {
  const { platform = basePlatform } = given;
  const link: "shared" | "call" = platform.host.runtime === "workerd" ? "call" : "shared";
  const reconnect: NonNullable<AmqpOptions["reconnect"]> = {};
  const failover: "round-robin" | "shuffle" = "round-robin";
  const more = { heartbeat: "60s", closeTimeout: "5s", failover, reconnect, platform, link } as const;
  const options = filled<Required<AmqpOptions>>(
    "The AMQP broker",
    given,
    { ...CALL_DEFAULTS, ...more },
    checkOptionNames,
  );
  demand(/^(shared|call)$/.test(options.link), "link", "shared or call");
  demand(/^(round-robin|shuffle)$/.test(options.failover), "failover", "round-robin or shuffle");
  const pauses = filled(
    "The option reconnect",
    options.reconnect,
    { min: "250ms" as Duration, max: "10s" as Duration },
    checkOptionNames,
  );
  return {
    ...options,
    ...checked(options),
    heartbeat: Math.min(65_535, Math.ceil(toMs(options.heartbeat, "heartbeat") / 1000)),
    closeTimeout: toMs(options.closeTimeout, "closeTimeout"),
    reconnect: { min: toMs(pauses.min, "reconnect.min"), max: toMs(pauses.max, "reconnect.max") },
  };
}

/** For a sender whose size counts. Throws as {@link readOptions}. */
export function readCallOptions(given: PublisherOptions): CallSettings {
  const defaults = { ...CALL_DEFAULTS, platform: senderPlatform };
  const options = filled<typeof defaults>("amqpPublisher", given, defaults, checkNames);
  return { ...options, ...checked(options) };
}

/** What both have, checked. */
function checked(options: typeof CALL_DEFAULTS): Pick<CallSettings, "connectTimeout" | "publishTimeout"> {
  demand(/^(declare|passive|leave)$/.test(options.topology), "topology", "declare, passive or leave");
  for (const name of ["maxInFlight", "maxMessage"] as const) {
    demand(Number.isInteger(options[name]) && options[name] > 0, name, "a positive integer");
  }
  return {
    connectTimeout: toMs(options.connectTimeout, "connectTimeout"),
    publishTimeout: toMs(options.publishTimeout, "publishTimeout"),
  };
}

/** The options with defaults for what is absent or undefined. */
function filled<T extends object>(
  owner: string,
  given: Partial<T>,
  defaults: T,
  check: typeof checkOptionNames,
): T {
  check(owner, given, Object.keys(defaults));
  return { ...defaults, ...defined(given) };
}
