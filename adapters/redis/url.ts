/**
 * Redis URLs as Celery reads them.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";
import { redactUrl } from "../../src/lib/redact.ts";
import { didYouMean } from "../../src/lib/suggest.ts";
import { CODES, type Role } from "./codes.ts";

/** How a TLS connection is made; the names are `node:tls`'s. Certificates and keys are PEM texts or their bytes. */
export interface RedisTls {
  /** Trusted certificate authorities instead of the runtime's own. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Our certificate chain. */
  readonly cert?: string | Uint8Array;
  /** Our private key. */
  readonly key?: string | Uint8Array;
  /** Opens `key`. */
  readonly passphrase?: string;
  /** The name that the certificate must bear. @default the URL's host */
  readonly servername?: string;
  /** False takes any certificate: never outside of a laboratory. @default true */
  readonly rejectUnauthorized?: boolean;
}

/** What a URL says. Durations are ms. */
export interface RedisTarget {
  readonly host?: string;
  readonly port?: number;
  /** A unix socket. */
  readonly path?: string;
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
  /** Undefined for a plain connection. Files are PEM. */
  readonly tls?: {
    readonly rejectUnauthorized: boolean;
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
  readonly connectTimeout?: number;
  readonly commandTimeout?: number;
  readonly clientName?: string;
  /** The URL without secrets. */
  readonly address: string;
}

/** URL parameters that redis-py knows and that have no meaning here: a link is checked, kept alive and retried in any case. */
const IDLE = [
  "health_check_interval",
  "max_connections",
  "retry_on_timeout",
  "socket_keepalive",
  "socket_read_size",
  "ssl_check_hostname",
  "timeout",
];

const KNOWN = [
  "client_name",
  "db",
  "password",
  "socket_connect_timeout",
  "socket_timeout",
  "ssl_ca_certs",
  "ssl_cert_reqs",
  "ssl_certfile",
  "ssl_keyfile",
  "username",
  "virtual_host",
];

const ENCODE = "Percent-encode special characters in user name and password (# is %23, / is %2F, @ is %40).";

const SOCKET_SCHEMES = new Set(["redis+socket", "socket", "unix"]);

/**
 * Reads `redis://[user][:password]@host:port/db?…`, `rediss://…` (TLS; the certificate is checked unless `ssl_cert_reqs=none`) and
 * `redis+socket:///path?virtual_host=db`. Parameters win over the rest of the URL, as in Celery.
 *
 * @throws {ConfigurationError} `backend-url-invalid` or `broker-url-invalid`; the text holds no secret.
 */
export function parseRedisUrl(text: string, role: Role = "backend"): RedisTarget {
  const fail = (why: string, hint?: string): never => {
    throw new ConfigurationError(CODES[role].url, `The Redis URL ${redactUrl(text)} ${why}.`, {
      hint: hint ?? "It reads redis://user:password@host:6379/0 (rediss:// for TLS).",
    });
  };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? fail("has no scheme");
  const isSocket = SOCKET_SCHEMES.has(scheme);
  if (!isSocket && scheme !== "redis" && scheme !== "rediss") fail(`has the scheme "${scheme}"`);
  const url = parsed(text) ?? fail("cannot be read", ENCODE);
  // A "/", "?" or "#" in a password that is not encoded ends the host early: what follows is not to be shown.
  if (`${url.pathname}${[...url.searchParams.keys()].join()}`.includes("@") || url.hash !== "") {
    fail("cannot be read", ENCODE);
  }
  const decoded = (part: string, what: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return fail(`has a broken percent sign in its ${what}`, "A percent sign itself is written %25.");
    }
  };
  const query = new Map(url.searchParams);
  for (const name of query.keys()) {
    if (!KNOWN.includes(name) && !IDLE.includes(name)) {
      fail(`has the unknown parameter "${name}"`, didYouMean(name, KNOWN));
    }
  }
  const seconds = (name: string): number | undefined => {
    const value = query.get(name);
    if (value === undefined) return undefined;
    const ms = Number(value) * 1000;
    return value.trim() !== "" && ms > 0 && Number.isFinite(ms)
      ? ms
      : fail(`has ${name}=${value}, which is no number of seconds`);
  };
  const username = query.get("username") ?? decoded(url.username, "user name");
  // redis-py sends an empty password along with a user name that has none.
  const password = query.get("password") ?? decoded(url.password, "password");
  const place = decoded(url.pathname, "path");
  const database = query.get("db") ?? query.get("virtual_host") ?? (isSocket ? "" : place);
  const db = /^\/*(\d*)\/*$/.exec(database)?.[1] ??
    fail("names a database that is no number");
  const host = decoded(url.hostname, "host").replace(/^\[(.*)\]$/, "$1");
  if (isSocket && (host !== "" || place === "" || place === "/")) {
    fail("names no socket", "It reads redis+socket:///path/to/redis.sock?virtual_host=0.");
  }
  const tls = tlsOf(scheme, query, fail);
  const connectTimeout = seconds("socket_connect_timeout");
  const commandTimeout = seconds("socket_timeout");
  const clientName = query.get("client_name");
  return {
    ...(isSocket
      ? { path: place }
      : { host: host === "" ? "localhost" : host, port: url.port === "" ? 6379 : Number(url.port) }),
    ...(username === "" ? {} : { username }),
    ...(username === "" && password === "" ? {} : { password }),
    db: Number(db),
    ...(tls === undefined ? {} : { tls }),
    ...(connectTimeout === undefined ? {} : { connectTimeout }),
    ...(commandTimeout === undefined ? {} : { commandTimeout }),
    ...(clientName === undefined ? {} : { clientName }),
    address: redactUrl(text),
  };
}

function parsed(text: string): URL | undefined {
  try {
    // WHATWG wants a host before "@": Celery takes redis://:secret@/0 as localhost.
    return new URL(text.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#]*@)(?=[:/?#]|$)/i, "$1localhost"));
  } catch {
    return undefined;
  }
}

type Fail = (why: string, hint?: string) => never;

function tlsOf(scheme: string, query: ReadonlyMap<string, string>, fail: Fail): RedisTarget["tls"] {
  const given = [...query.keys()].find((name) => name.startsWith("ssl_"));
  if (scheme !== "rediss") {
    return given === undefined
      ? undefined
      : fail(`has ${given} but no TLS`, "A TLS connection has the scheme rediss://.");
  }
  const demand = (query.get("ssl_cert_reqs") ?? "required").toLowerCase().replace(/^cert_/, "");
  if (!["required", "optional", "none"].includes(demand)) {
    fail(`has ssl_cert_reqs=${query.get("ssl_cert_reqs")}`, "It is required, optional or none.");
  }
  const files = {
    caFile: query.get("ssl_ca_certs"),
    certFile: query.get("ssl_certfile"),
    keyFile: query.get("ssl_keyfile"),
  };
  const named = Object.entries(files).filter(([, file]) => file !== undefined);
  // A server always shows a certificate, so that "optional" checks it too, as in Python.
  return { rejectUnauthorized: demand !== "none", ...Object.fromEntries(named) };
}
