/**
 * Broker URLs as Celery reads them: `amqp://user:password@host:5672/vhost`.
 *
 * @module
 */
import { redactUrl } from "../../src/lib/redact.ts";
import { decode, type Fail, readTargets, secretsOf, type Target, type Targets } from "./url.ts";

/** A broker to dial over TCP. */
export interface TcpTarget extends Target {
  readonly host: string;
  readonly port: number;
  /** The host as the URL has it: the name that a certificate must carry; "" for an IP address. */
  readonly servername: string;
}

const HINTS = {
  tls: "Check the port (5671), the certificate's name, and the options under tls.",
  protocol: "Check the port.",
};
const PLAIN_HINTS = { ...HINTS, protocol: "Check the port; a TLS port wants amqps://." };

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
  return readTargets(url, "amqp://|amqps://|pyamqp://", "amqp://user:password@host:5672/vhost", read);
}

function read(url: URL, fail: Fail, text: string): TcpTarget {
  const secure = url.protocol === "amqps:";
  const heartbeat = url.searchParams.get("heartbeat");
  if (heartbeat !== null && !/^\d{1,5}$/.test(heartbeat)) throw fail("heartbeat must be whole seconds");
  for (const key of url.searchParams.keys()) {
    if (key === "heartbeat") continue;
    // A password with a raw "?" ends up here: then nothing of it may be shown.
    const name = url.search.includes("@") ? "" : ` ${key.slice(0, 40)}`;
    throw fail(`the query parameter${name} is not known; give it as an option of the broker instead`);
  }
  const hostname = decode(url.hostname, "host", fail).replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (secure ? 5671 : 5672) : Number(url.port);
  const username = decode(url.username, "user", fail) || "guest";
  const password = decode(url.password, "password", fail) || "guest";
  return {
    // py-amqp does so since "localhost" may be ::1 first, where RabbitMQ often does not listen.
    host: hostname === "" || hostname === "localhost" ? "127.0.0.1" : hostname,
    port,
    servername: /^[\d.]+$|:/.test(hostname) ? "" : hostname || "localhost",
    secure,
    username,
    password,
    vhost: decode(url.pathname.slice(1), "virtual host", fail) || "/",
    heartbeat: heartbeat === null ? undefined : Number(heartbeat),
    place: `${url.hostname || "localhost"}:${port}`,
    address: redactUrl(text),
    secrets: secretsOf(username, password),
    hints: secure ? HINTS : PLAIN_HINTS,
  };
}
