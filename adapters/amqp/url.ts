/**
 * Broker URLs, one or several: what they have in common over TCP and over WebSocket.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";

/** One broker to connect to; each transport adds where it dials. */
export interface Target {
  /** Whether TLS is spoken. */
  readonly secure: boolean;
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
  /** Seconds, where the URL says `?heartbeat=`. */
  readonly heartbeat?: number | undefined;
  /** "host:port", for messages. */
  readonly place: string;
  /** The URL without its secrets, for banners. */
  readonly address: string;
  /** What must never be shown, nor a text of others that holds it. */
  readonly secrets: readonly string[];
  /** What to look at, by the code of an error. */
  readonly hints?: Readonly<Record<string, string>>;
}

/** At least one target. */
export type Targets<T extends Target = Target> = readonly [T, ...T[]];

/**
 * Reads a URL, a failover list `a;b`, or an array of them. `scheme` is what each begins with; `read` may throw what it likes.
 *
 * @throws {ConfigurationError} `broker-url-invalid`; the message holds nothing of the URL.
 */
export function readTargets<T extends Target>(
  url: string | readonly string[],
  scheme: RegExp,
  example: string,
  read: (url: URL, text: string) => T,
): Targets<T> {
  const parse = (text: string): T => {
    try {
      const parsed = new URL(text);
      if (scheme.test(text) && parsed.hash === "") return read(parsed, text);
    } catch (error) {
      // The errors of others hold the whole input.
      if (error instanceof ConfigurationError) throw error;
    }
    throw new ConfigurationError(
      "broker-url-invalid",
      `A broker URL must look like ${example}, with %40 for @ in its parts, %23 for #, %2F for /.`,
    );
  };
  const texts = [url].flat().join(";").split(";").map((each) => each.trim());
  const [first = "", ...rest] = texts.filter(Boolean);
  return [parse(first), ...rest.map(parse)];
}

/** What no text may show of these credentials: RabbitMQ itself names the user in its refusals. */
export function secretsOf(username: string, password: string): readonly string[] {
  return [password, `'${username}'`].filter((secret) => !/^'?guest'?$/.test(secret));
}
