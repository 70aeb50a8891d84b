/**
 * The options of an AMQP broker and their defaults.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import { checkNames, checkOptionNames } from "../../src/lib/options.ts";
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
}

/** The options with their defaults, durations in ms. */
export interface Settings {
  readonly platform: BasePlatform;
  readonly topology: Topology;
  readonly link: "shared" | "call";
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

/** The settings of what only publishes with a connection for each call: it asks less of the platform. */
export interface CallSettings extends Omit<Settings, "platform"> {
  readonly platform: { readonly clock: Pick<Clock, "after" | "now"> };
}

const DEFAULTS: Required<Omit<AmqpOptions, "platform" | "link">> = {
  topology: "declare",
  heartbeat: "60s",
  connectTimeout: "4s",
  publishTimeout: "30s",
  closeTimeout: "5s",
  maxInFlight: 1000,
  maxMessage: 134_217_728,
  reconnect: {},
  name: "celeriac",
};

const PAUSES: Required<NonNullable<AmqpOptions["reconnect"]>> = { min: "250ms", max: "10s" };

/** What only certain words may be. */
const WORDS = { topology: ["declare", "passive", "leave"], link: ["shared", "call"] } as const;

/** @throws {ConfigurationError} `option-unknown`, `option-invalid`, `duration-invalid`. */
export function readOptions(given: AmqpOptions): Settings {
  const { platform = basePlatform } = given;
  const link = platform.host.runtime === "workerd" ? "call" : "shared";
  return { ...read(given, { platform, link }, checkOptionNames), platform };
}

/** For a sender whose size counts. Throws as {@link readOptions}. */
export function readCallOptions(given: AmqpOptions): CallSettings {
  return read(given, { platform: senderPlatform, link: "call" }, checkNames);
}

function read(
  given: AmqpOptions,
  own: Pick<CallSettings, "platform" | "link">,
  check: typeof checkOptionNames,
): CallSettings {
  const options = filled("The AMQP broker", given, { ...DEFAULTS, ...own }, check);
  for (const name of ["topology", "link"] as const) {
    const words: readonly string[] = WORDS[name];
    if (!words.includes(options[name])) throw invalid(name, `one of ${words.join(", ")}`);
  }
  for (const name of ["maxInFlight", "maxMessage"] as const) {
    if (!Number.isInteger(options[name]) || options[name] < 1) throw invalid(name, "a positive integer");
  }
  const pauses = filled("The option reconnect", options.reconnect, PAUSES, check);
  const ms = { heartbeat: 0, connectTimeout: 0, publishTimeout: 0, closeTimeout: 0 };
  for (const name of Object.keys(ms) as (keyof typeof ms)[]) ms[name] = toMs(options[name], name);
  return {
    ...options,
    ...ms,
    heartbeat: Math.min(65_535, Math.ceil(ms.heartbeat / 1000)),
    reconnect: { min: toMs(pauses.min, "reconnect.min"), max: toMs(pauses.max, "reconnect.max") },
  };
}

/** The options with defaults for what is absent or undefined. */
function filled<T extends object>(
  owner: string,
  given: Partial<T>,
  defaults: T,
  check: typeof checkOptionNames,
): { -readonly [K in keyof T]: T[K] } {
  check(owner, given, Object.keys(defaults));
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(said) };
}

function invalid(name: string, what: string): ConfigurationError {
  return new ConfigurationError("option-invalid", `${name} must be ${what}.`);
}
