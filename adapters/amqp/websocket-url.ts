/**
 * URLs of a relay: `wss://user:password@relay.example/path?vhost=/x`. Path and query belong to the relay, the rest to the broker. The path
 * is shown in `address`, logs and errors; a token belongs in the query, which is shown nowhere.
 *
 * @module
 */
import { readTargets, secretsOf, type Target, type Targets } from "./url.ts";

/** A broker to dial over WebSocket. */
export interface WebSocketTarget extends Target {
  /** What the WebSocket is opened with: no credentials of the broker in it. */
  readonly url: string;
}

/** What a URL may leave out. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly vhost?: string | undefined;
}

/** A relay's token may be short; text shorter than this is no token, and masking it would spoil every message. */
const SHORTEST_SECRET = 4;

/**
 * Reads a URL, a failover list `a;b`, or an array of them. What a URL does not say is taken from `given`, else it is guest, guest and "/".
 *
 * @throws {ConfigurationError} `broker-url-invalid`; the message holds no part of the credentials or the query.
 */
export function parseRelays(
  url: string | readonly string[],
  given: Credentials,
): Targets<WebSocketTarget> {
  return readTargets(
    url,
    /^wss?:\/\//i,
    "wss://user:password@relay/path?vhost=/ (or ws:)",
    (parsed) => read(parsed, given),
  );
}

function read(url: URL, given: Credentials): WebSocketTarget {
  const { protocol, host, pathname, search, searchParams } = url;
  // A password with a raw "/" or "?" ends up here.
  if (/@/.test(pathname + search)) throw new Error();
  const username = decodeURIComponent(url.username) || (given.username ?? "guest");
  const password = decodeURIComponent(url.password) || (given.password ?? "guest");
  const vhost = searchParams.get("vhost") || (given.vhost ?? "/");
  // Cut out as text: a relay may have signed the rest as it is written.
  const query = search.slice(1).split("&").filter((pair) => pair && !/^vhost(=|$)/.test(pair)).join("&");
  return {
    url: `${protocol}//${host}${pathname}` + (query && `?${query}`),
    secure: protocol === "wss:",
    username,
    password,
    vhost,
    place: host,
    address: `${protocol}//${url.username && `${url.username}:***@`}${host}${pathname}${
      vhost === "/" ? "" : `?vhost=${encodeURIComponent(vhost)}`
    }`,
    secrets: [
      ...secretsOf(username, password),
      query,
      ...[...searchParams.values()].filter((text) => text.length >= SHORTEST_SECRET && text !== vhost),
    ],
  };
}
