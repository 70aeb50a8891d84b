/**
 * From URLs to adapters, through the `transports` that the program hands in: the core itself names no adapter.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import type { Broker } from "../broker.ts";
import type { Logger } from "../lib/logger.ts";
import type { Platform } from "../lib/port.ts";
import type { Settings } from "./settings.ts";

/** What an adapter may use besides its URL. */
export interface TransportOptions {
  /** The app's settings, complete. */
  readonly settings: Settings;
  /** The app's ports. */
  readonly platform: Platform;
  /** The app's logger. */
  readonly logger: Logger;
}

/** Knows adapters by URL scheme: `import { transports } from "celeriac/url"` knows every one. Neither method does I/O. */
export interface Transports {
  /** `urls` are alternatives for failover, first choice first; never empty. Throws `ConfigurationError` for one that it does not know. */
  broker(urls: readonly string[], options: TransportOptions): Broker;
  /** Throws `ConfigurationError` for a URL that it does not know. */
  backend(url: string, options: TransportOptions): Backend;
}
