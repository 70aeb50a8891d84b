/**
 * From the library's and the broker's sentences to coded errors. The library's own errors never travel as `cause`: they hold the client,
 * and with it the user name.
 *
 * @module
 */
import { CeleriacError, ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { redactText } from "../../src/lib/redact.ts";
import type { Target } from "./url.ts";

/** A refusal in the broker's words: "NOT_FOUND - no queue 'x' in vhost '/'", 404. */
export interface Sentence {
  readonly code: number;
  readonly text: string;
}

/** The broker's words where the library's message is about the connection, not about one channel. */
export function connectionSentence(error: Error): Sentence | undefined {
  return /^(Channel 0 closed: )?connection closed: /.test(error.message) ? sentenceOf(error) : undefined;
}

/** Takes the broker's reply code and text out of the library's message. */
export function sentenceOf(error: unknown): Sentence | undefined {
  const text = error instanceof Error ? error.message : String(error);
  const found = /closed: ([\s\S]*) \((\d{3})\)$/.exec(text);
  if (found === null) return undefined;
  return { code: Number(found[2]), text: String(found[1]).replace(/^connection closed: /, "") };
}

/** What is known of a connection that did not open, or did not stay. */
export interface Failure {
  /** The socket's error code: ECONNREFUSED, DEPTH_ZERO_SELF_SIGNED_CERT, … */
  readonly code?: string | undefined;
  readonly text: string;
  /** The broker's own words, where it closed the connection. */
  readonly sentence?: Sentence | undefined;
}

/** Codes that mean: no connection on the network's level, so never a matter of TLS. */
const NETWORK: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "EADDRNOTAVAIL",
]);

/** The error of a connection that never opened. `secured` says that TLS, where wanted, stood. */
export function connectError(target: Target, failure: Failure, secured: boolean): ConnectionError {
  const { sentence } = failure;
  if (sentence !== undefined) return refusal(target, sentence);
  const { place } = target;
  const text = clean(target, failure.text);
  if (target.secure && !secured && !NETWORK.has(failure.code ?? "")) {
    return failed("broker-tls", `TLS with the broker at ${place} failed: ${text}.`, text, failure.code, {
      hint: "Check the port (5671), the certificate's name, and the options under tls.",
    });
  }
  return failed(
    "broker-unreachable",
    `The broker at ${place} cannot be reached: ${text}.`,
    text,
    failure.code,
  );
}

/** The error of a connection that stood and broke. */
export function lostError(target: Target, failure: Failure): ConnectionError {
  const { sentence } = failure;
  if (sentence !== undefined) {
    const text = clean(target, sentence.text);
    return failed(
      "broker-closed",
      `The broker at ${target.place} closed the connection: ${text} (${sentence.code}).`,
      text,
    );
  }
  const text = clean(target, failure.text);
  return failed(
    "broker-lost",
    `The connection to the broker at ${target.place} was lost: ${text}.`,
    text,
    failure.code,
  );
}

/** Connecting took too long. */
export function connectTimeout(target: Target, ms: number): ConnectionError {
  return new ConnectionError(
    "broker-timeout",
    `The broker at ${target.place} did not answer within ${ms} ms.`,
  );
}

/** The peer speaks, but no AMQP. */
export function protocolError(target: Target, text: string): ConnectionError {
  return new ConnectionError(
    "broker-protocol",
    `What answers at ${target.place} does not speak AMQP 0-9-1: ${text}.`,
    {
      hint: target.secure ? "Check the port." : "Check the port; a TLS port wants amqps://.",
    },
  );
}

/** Nothing came for two heartbeats. */
export function silence(target: Target, seconds: number): ConnectionError {
  return new ConnectionError(
    "broker-silent",
    `The broker at ${target.place} was silent for two heartbeats of ${seconds} s; the connection is given up.`,
  );
}

function refusal(target: Target, { code, text: raw }: Sentence): ConnectionError {
  const text = clean(target, raw);
  const { place } = target;
  if (code === 403) {
    return failed(
      "broker-credentials-refused",
      `The broker at ${place} refused the user name or password.`,
      text,
    );
  }
  if (code === 530 && /not found/.test(text)) {
    return failed(
      "broker-vhost-missing",
      `The broker at ${place} has no virtual host ${JSON.stringify(target.vhost)}.`,
      text,
      undefined,
      {
        hint: "Create it, or correct the path of the URL; a slash in its name is written %2F.",
      },
    );
  }
  if (code === 530) {
    return failed("broker-vhost-refused", `The broker at ${place} refused the virtual host: ${text}.`, text);
  }
  return failed("broker-closed", `The broker at ${place} closed the connection: ${text} (${code}).`, text);
}

function failed(
  code: string,
  message: string,
  cause: string,
  errorCode?: string,
  details: { readonly hint?: string } = {},
): ConnectionError {
  const inner = new Error(cause);
  if (errorCode !== undefined) Object.assign(inner, { code: errorCode });
  return new ConnectionError(code, message, { cause: inner, ...details });
}

/** Text of others without our secrets and without a full stop of its own. */
function clean(target: Target, text: string): string {
  const user = target.username === "guest" ? [] : [`'${target.username}'`];
  return redactText(text, [target.password === "guest" ? "" : target.password, ...user]).replace(/\.+$/, "");
}

/** What a method call on a channel was about: "queue", its name. */
export interface Subject {
  readonly kind: "exchange" | "queue" | "binding";
  readonly name: string;
}

/** A channel closed over a declaration, a consume or a count: names the entity and gives the broker's words. */
export function channelError(subject: Subject, error: unknown): Error {
  const what = `The ${subject.kind} ${JSON.stringify(subject.name)}`;
  const sentence = sentenceOf(error);
  if (sentence === undefined) {
    if (error instanceof CeleriacError) return error;
    // The library's own refusal to write it: a name over 255 bytes, arguments over 4 kB.
    const text = error instanceof Error ? error.message : String(error);
    return new ConfigurationError("topology-invalid", `${what} cannot be sent: ${text.slice(0, 120)}.`);
  }
  const { code, text } = sentence;
  switch (code) {
    case 404:
      return new ConfigurationError(
        /no exchange/.test(text) ? "exchange-missing" : "queue-missing",
        `${what} cannot be used: ${text}.`,
      );
    case 403:
      return new ConfigurationError("topology-refused", `${what} is refused to us: ${text}.`);
    case 405:
      return new ConfigurationError("queue-locked", `${what} belongs to another connection: ${text}.`);
    case 406:
      return new ConfigurationError("topology-mismatch", `${what} exists with other properties: ${text}.`, {
        hint: "Every peer must declare it alike; change the declaration, or delete it on the broker.",
      });
    default:
      return new ConnectionError(
        "channel-closed",
        `${what}: the broker closed the channel: ${text} (${code}).`,
      );
  }
}
