/**
 * Broker URLs as Celery reads them.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import { redactUrl } from "../../src/lib/redact.ts";

/** One broker to connect to. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** The host as the URL has it: the name that a certificate must carry; "" for an IP address. */
  readonly servername: string;
  /** Whether TLS is spoken. */
  readonly secure: boolean;
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
  /** Seconds, where the URL says `?heartbeat=`. */
  readonly heartbeat: number | undefined;
  /** "host:port", for messages. */
  readonly place: string;
  /** The URL without its password, for banners. */
  readonly address: string;
}

/** Celery's names for AMQP over TCP, and whether they mean TLS. */
const SCHEMES: ReadonlyMap<string, boolean> = new Map([["amqp:", false], ["pyamqp:", false], [
  "amqps:",
  true,
]]);

/**
 * Reads a URL, a failover list `a;b`, or an array of them.
 *
 * The virtual host is the path without its first slash, percent-decoded; an empty one is "/" (so `amqp://h`, `amqp://h/` and
 * `amqp://h//` all mean "/"). Missing parts are guest, guest, 127.0.0.1, and 5672 or 5671. "localhost" is 127.0.0.1, as in py-amqp.
 * The only query parameter is `heartbeat`, in seconds.
 *
 * @throws {ConfigurationError} `broker-url-invalid`; the message holds no part of the credentials.
 */
export function parseTargets(url: string | readonly string[]): readonly [Target, ...Target[]] {
  const urls: unknown = typeof url === "string" ? [url] : url;
  if (!Array.isArray(urls)) throw invalid("it is no text", "");
  const [first, ...rest] = urls.flatMap((each) => String(each).split(";")).map((each) => each.trim()).filter(
    Boolean,
  );
  if (first === undefined) throw invalid("it is empty", "");
  return [parseTarget(first), ...rest.map(parseTarget)];
}

function parseTarget(text: string): Target {
  const secure = SCHEMES.get(/^[a-z][a-z0-9+.-]*:/i.exec(text)?.[0].toLowerCase() ?? "");
  if (secure === undefined || !/^[a-z]+:\/\//i.test(text)) {
    throw invalid("it must begin with amqp:// or amqps://", text);
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // The URL error itself holds the whole input.
    throw invalid(
      "host or port cannot be read; write special characters in user and password percent-encoded",
      text,
    );
  }
  if (url.hash !== "") throw invalid("it holds a #; write it as %23", text);
  const heartbeat = url.searchParams.get("heartbeat");
  if (heartbeat !== null && !/^\d{1,5}$/.test(heartbeat)) {
    throw invalid("heartbeat must be whole seconds", text);
  }
  for (const key of url.searchParams.keys()) {
    if (key === "heartbeat") continue;
    // A password with a raw "?" ends up here: then nothing of it may be shown.
    const name = url.search.includes("@") ? "" : ` ${key.slice(0, 40)}`;
    throw invalid(
      `the query parameter${name} is not known; give it as an option of the broker instead`,
      text,
    );
  }
  const hostname = decode(url.hostname, "host", text).replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (secure ? 5671 : 5672) : Number(url.port);
  return {
    // py-amqp does so since "localhost" may be ::1 first, where RabbitMQ often does not listen.
    host: hostname === "" || hostname === "localhost" ? "127.0.0.1" : hostname,
    port,
    servername: /^[\d.]+$|:/.test(hostname) ? "" : hostname || "localhost",
    secure,
    username: decode(url.username, "user", text) || "guest",
    password: decode(url.password, "password", text) || "guest",
    vhost: decode(url.pathname.slice(1), "virtual host", text) || "/",
    heartbeat: heartbeat === null ? undefined : Number(heartbeat),
    place: `${url.hostname || "localhost"}:${port}`,
    address: redactUrl(text),
  };
}

function decode(text: string, what: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`the ${what} is not percent-encoded properly`, url);
  }
}

/** What can be shown of a URL that may be broken anywhere: its scheme, and what follows its last "@". */
function shown(url: string): string {
  const scheme = /^[a-z][a-z0-9+.-]{0,15}:\/\//i.exec(url)?.[0] ?? "";
  const at = url.lastIndexOf("@");
  return at < 0 ? (scheme === "" ? "" : `${scheme}…`) : `${scheme}***@${url.slice(at + 1, at + 80)}`;
}

function invalid(why: string, url: string): ConfigurationError {
  const text = shown(url);
  return new ConfigurationError(
    "broker-url-invalid",
    `The broker URL${text === "" ? "" : ` ${text}`} cannot be used: ${why}.`,
    {
      hint: "A broker URL looks like amqp://user:password@host:5672/vhost.",
    },
  );
}
