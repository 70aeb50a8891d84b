/**
 * An app's broker and backend: given as objects, or made from the URLs of its settings at first use.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import type { Broker } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import type { Logger } from "../lib/logger.ts";
import type { Platform } from "../lib/port.ts";
import type { Config } from "./config.ts";
import type { Transports } from "./transports.ts";

/** What the constructor of an app was given. */
export interface GivenAdapters {
  readonly broker?: Broker | undefined;
  readonly backend?: Backend | undefined;
  readonly transports?: Transports | undefined;
}

/** The adapters of one app. */
export class Adapters {
  readonly #given: GivenAdapters;
  readonly #config: Config;
  readonly #platform: Platform;
  readonly #logger: Logger;
  /** The app that this one is a fork of: what it has and the fork does not name is shared. */
  readonly #under: Adapters | undefined;
  #broker: Broker | undefined;
  #backend: Backend | undefined;

  constructor(given: GivenAdapters, config: Config, platform: Platform, logger: Logger, under?: Adapters) {
    this.#given = given;
    this.#config = config;
    this.#platform = platform;
    this.#logger = logger;
    this.#under = under;
  }

  /** Throws "transports-missing" as soon as a URL is given that nothing here can read. */
  check(): void {
    const { brokerUrl, resultBackend } = this.#config.settings;
    if (this.#transports !== undefined) return;
    if (brokerUrl.length > 0 && this.#given.broker === undefined) throw transportsMissing("broker");
    if (resultBackend !== undefined && this.#given.backend === undefined) {
      throw transportsMissing("result backend");
    }
  }

  /** Whether there is a broker to send with. */
  get hasBroker(): boolean {
    return this.#given.broker !== undefined || this.#config.settings.brokerUrl.length > 0 ||
      this.#under?.hasBroker === true;
  }

  /** Whether there is a backend to read from. */
  get hasBackend(): boolean {
    return this.#given.backend !== undefined || this.#config.settings.resultBackend !== undefined ||
      this.#under?.hasBackend === true;
  }

  broker(): Broker {
    return this.#broker ??= this.#findBroker();
  }

  backend(): Backend | undefined {
    return this.#backend ??= this.#findBackend();
  }

  /** Closes what was used and is not shared. */
  async close(): Promise<void> {
    const closing: Promise<void>[] = [];
    if (this.#broker !== undefined && this.#broker !== this.#under?.used.broker) {
      closing.push(this.#broker.close());
    }
    if (this.#backend !== undefined && this.#backend !== this.#under?.used.backend) {
      closing.push(this.#backend.close());
    }
    const closed = await Promise.allSettled(closing);
    for (const each of closed) if (each.status === "rejected") throw each.reason;
  }

  /** What was used so far. */
  get used(): { readonly broker: Broker | undefined; readonly backend: Backend | undefined } {
    return { broker: this.#broker, backend: this.#backend };
  }

  get #transports(): Transports | undefined {
    return this.#given.transports ?? (this.#under === undefined ? undefined : this.#under.#transports);
  }

  #findBroker(): Broker {
    const settings = this.#config.use();
    if (this.#given.broker !== undefined) return this.#given.broker;
    const under = this.#under;
    if (under?.hasBroker === true && same(under.#config.settings.brokerUrl, settings.brokerUrl)) {
      return under.broker();
    }
    if (settings.brokerUrl.length > 0) {
      if (this.#transports === undefined) throw transportsMissing("broker");
      return this.#transports.broker(settings.brokerUrl, {
        settings,
        platform: this.#platform,
        logger: this.#logger,
      });
    }
    throw new ConfigurationError("broker-missing", "The app has no broker; there is no default.", {
      hint: "Give one: new Celery(name, { broker: amqpBroker(url) }), or a broker_url and transports.",
    });
  }

  #findBackend(): Backend | undefined {
    const settings = this.#config.use();
    if (this.#given.backend !== undefined) return this.#given.backend;
    if (this.#under !== undefined && this.#under.#config.settings.resultBackend === settings.resultBackend) {
      return this.#under.backend();
    }
    if (settings.resultBackend === undefined) return undefined;
    if (this.#transports === undefined) throw transportsMissing("result backend");
    return this.#transports.backend(settings.resultBackend, {
      settings,
      platform: this.#platform,
      logger: this.#logger,
    });
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((url, at) => url === b[at]);
}

function transportsMissing(what: string): ConfigurationError {
  return new ConfigurationError(
    "transports-missing",
    `The ${what} is given as a URL, but the app knows no transports.`,
    {
      hint: 'import { transports } from "celeriac/url" and pass them: new Celery(name, { transports, … }).',
    },
  );
}
