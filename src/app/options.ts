/**
 * The options of an app, and the inside that they make.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import type { Broker } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import { consoleLogger } from "../lib/console-logger.ts";
import type { Logger } from "../lib/logger.ts";
import { systemPlatform } from "../lib/platform.ts";
import type { Platform } from "../lib/port.ts";
import { Config } from "./config.ts";
import { AppCore } from "./core.ts";
import { Registry } from "./registry.ts";
import type { SettingsOptions } from "./settings.ts";
import type { Transports } from "./transports.ts";

/** The options of an app: its adapters and ports, and Celery's settings in camelCase. */
export interface CeleryOptions extends SettingsOptions {
  /** The broker, or its URL (then with `transports`). There is no default: without one, sending throws "broker-missing". */
  readonly broker?: Broker | string;
  /** The result backend, or its URL (then with `transports`). Without one, reading a result throws "backend-missing". */
  readonly backend?: Backend | string;
  /** Makes adapters from URLs: `import { transports } from "celeriac/url"`. */
  readonly transports?: Transports;
  /** "exact": results and arguments keep every distinction of the wire (microseconds, `1.0`). @default "plain" */
  readonly json?: "plain" | "exact";
  /** Takes log lines. @default warnings and worse to the console */
  readonly logger?: Logger;
  /** Clock, chance, ids, async context and host facts. @default the real ones */
  readonly platform?: Platform;
}

/** Options that are no settings. */
const OTHERS = ["broker", "backend", "transports", "json", "logger", "platform"] as const;

/** Under it a fork's options carry the inside of its origin. */
const ORIGIN = Symbol("origin");

/** The inside of an app of these options. */
export function coreOf(name: string, options: CeleryOptions): AppCore {
  if (typeof name !== "string" || name === "") {
    throw new ConfigurationError("option-invalid", "An app needs a name.");
  }
  if (typeof options !== "object" || options === null) {
    throw new ConfigurationError("option-invalid", "The options of an app are an object.");
  }
  const origin = (options as { readonly [ORIGIN]?: AppCore })[ORIGIN];
  const {
    broker,
    backend,
    transports,
    json,
    logger = origin?.logger ?? consoleLogger(),
    platform,
    ...settings
  } = options;
  if (json !== undefined && json !== "plain" && json !== "exact") {
    throw new ConfigurationError("option-invalid", 'The option json must be "plain" or "exact".');
  }
  if (transports !== undefined && typeof (transports as Partial<Transports> | null)?.broker !== "function") {
    throw new ConfigurationError("option-invalid", "The option transports knows no brokers.", {
      hint: 'import { transports } from "celeriac/url" and pass them.',
    });
  }
  const config = new Config(logger, origin?.config);
  config.fix(settings, OTHERS);
  if (typeof broker === "string") config.fix({ brokerUrl: broker }, OTHERS);
  if (typeof backend === "string") config.fix({ resultBackend: backend }, OTHERS);
  const core = new AppCore({
    name,
    config,
    registry: origin?.registry ?? new Registry(),
    given: {
      broker: object(broker, "publish", "broker"),
      backend: object(backend, "watch", "backend"),
      transports,
    },
    platform: platform ?? origin?.platform ?? systemPlatform,
    logger,
    exact: json === undefined ? origin?.exact ?? false : json === "exact",
    ...(origin === undefined ? {} : { origin }),
  });
  core.adapters.check();
  return core;
}

/** The options of a fork, which say whose it is. */
export function forkOptions(options: CeleryOptions, origin: AppCore): CeleryOptions {
  return { ...options, [ORIGIN]: origin } as CeleryOptions;
}

/** An adapter is known by one of its methods: an options object in its place is a common slip. */
function object<T extends object>(
  value: T | string | undefined,
  method: string,
  what: string,
): T | undefined {
  if (value === undefined || value === null || typeof value === "string") return undefined;
  if (typeof (value as Record<string, unknown>)[method] === "function") return value;
  throw new ConfigurationError("option-invalid", `The option ${what} is neither a ${what} nor a URL.`);
}
