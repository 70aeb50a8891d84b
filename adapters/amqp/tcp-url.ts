/**
 * Broker URLs as Celery reads them: `amqp://user:password@host:5672/vhost`.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import { redactUrl } from "../../src/lib/redact.ts";
import { readTargets, secretsOf, type Target, type Targets } from "./url.ts";

/** A broker to dial over TCP. */
export interface TcpTarget extends Target {
  readonly host: string;
  readonly port: number;
  /** The host as the URL has it: the name that a certificate must carry; "" for an IP address. */
  readonly servername: string;
}

const HINTS = {
  "broker-tls": "Check the port (5671), the certificate's name, and the options under tls.",
  "broker-protocol": "Check the port.",
  "broker-vhost-missing": "In the path of the URL a slash of its name is written %2F.",
};
const PLAIN_HINTS = { ...HINTS, "broker-protocol": "Check the port; a TLS port wants amqps://." };

/**
 * Reads a URL, a failover list `a;b`, or an array of them.
 *
 * The virtual host is the path without its first slash, percent-decoded; an empty one is "/" (so `amqp://h`, `amqp://h/` and
 * `amqp://h//` all mean "/"). Missing parts are guest, guest, 127.0.0.1, and 5672 or 5671. "localhost" is 127.0.0.1, as in py-amqp.
 * The only query parameter is `heartbeat`, in seconds.
 *
 * @throws {ConfigurationError} `broker-url-invalid`; the message holds no part of the credentials.
 */
export function parseTargets(url: string | readonly string[]): Targets<TcpTarget> {
  return readTargets(
    url,
    /^(amqps?|pyamqp):\/\//i,
    "amqp://user:password@host:5672/vhost (or amqps:)",
    read,
  );
}

function read(url: URL, text: string): TcpTarget {
  const secure = url.protocol === "amqps:";
  const heartbeat = url.searchParams.get("heartbeat");
  if (heartbeat !== null && !/^\d{1,5}$/.test(heartbeat)) throw badUrl("heartbeat must be whole seconds");
  for (const key of url.searchParams.keys()) {
    if (key === "heartbeat") continue;
    // A password with a raw "?" ends up here: then nothing of it may be shown.
    const name = url.search.includes("@") ? "" : ` ${key.slice(0, 40)}`;
    throw badUrl(`the query parameter${name} is not known; give it as an option of the broker instead`);
  }
  const hostname = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (secure ? 5671 : 5672) : Number(url.port);
  const username = decodeURIComponent(url.username) || "guest";
  const password = decodeURIComponent(url.password) || "guest";
  return {
    // py-amqp does so since "localhost" may be ::1 first, where RabbitMQ often does not listen.
    host: hostname === "" || hostname === "localhost" ? "127.0.0.1" : hostname,
    port,
    servername: /^[\d.]+$|:/.test(hostname) ? "" : hostname || "localhost",
    secure,
    username,
    password,
    vhost: decodeURIComponent(url.pathname.slice(1)) || "/",
    heartbeat: heartbeat === null ? undefined : Number(heartbeat),
    place: `${url.hostname || "localhost"}:${port}`,
    address: redactUrl(text),
    secrets: secretsOf(username, password),
    hints: secure ? HINTS : PLAIN_HINTS,
  };
}

/** The error of a URL that says what nothing can be made of. */
function badUrl(why: string): ConfigurationError {
  return new ConfigurationError("broker-url-invalid", `The broker URL cannot be used: ${why}.`);
}
