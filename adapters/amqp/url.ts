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
  /** What to look at when TLS fails, and when the peer speaks no AMQP. */
  readonly hints: { readonly tls: string; readonly protocol: string };
}

/** At least one target. */
export type Targets<T extends Target = Target> = readonly [T, ...T[]];

/** Makes the error of a URL that cannot be used, from the reason. */
export type Fail = (why: string) => ConfigurationError;

/**
 * Reads a URL, a failover list `a;b`, or an array of them. `schemes` ends each scheme with "://", with a "|" between two.
 *
 * @throws {ConfigurationError} `broker-url-invalid`; the message holds nothing of the URL but its scheme.
 */
export function readTargets<T extends Target>(
  url: string | readonly string[],
  schemes: string,
  example: string,
  read: (url: URL, fail: Fail, text: string) => T,
): Targets<T> {
  const parse = (text: string): T => {
    const scheme = text.match(/^\w+:\/\//)?.[0].toLowerCase() ?? "";
    const fail: Fail = (why) =>
      new ConfigurationError("broker-url-invalid", `The broker URL ${scheme}… cannot be used: ${why}.`, {
        hint: `A broker URL looks like ${example}.`,
      });
    if (text === "") throw fail("it is empty");
    if (!schemes.split("|").includes(scheme)) {
      throw fail(`it must begin with ${schemes.replaceAll("|", " or ")}`);
    }
    let parsed: URL;
    try {
      parsed = new URL(text);
    } catch {
      // The URL error itself holds the whole input.
      throw fail(
        "host or port cannot be read; write special characters in user and password percent-encoded",
      );
    }
    if (parsed.hash !== "") throw fail("it holds a #; write it as %23");
    return read(parsed, fail, text);
  };
  const texts = [url].flat().flatMap((each) => String(each).split(";")).map((each) => each.trim());
  const [first = "", ...rest] = texts.filter(Boolean);
  return [parse(first), ...rest.map(parse)];
}

/** Undoes the percent-encoding of a part of a URL. */
export function decode(text: string, what: string, fail: Fail): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw fail(`the ${what} is not percent-encoded properly`);
  }
}

/** What no text may show of these credentials: RabbitMQ itself names the user in its refusals. */
export function secretsOf(username: string, password: string): readonly string[] {
  return [password, `'${username}'`].filter((secret) => secret !== "guest" && secret !== "'guest'");
}
