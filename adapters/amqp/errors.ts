/**
 * From the library's and the broker's sentences to coded errors. The library's own errors never travel as `cause`: they hold the client,
 * and with it the user name.
 *
 * @module
 */
import type { BindingEntity } from "../../src/broker.ts";
import { CeleriacError, ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { redactSecrets } from "../../src/lib/redact.ts";
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
  const found = /closed: (?:connection closed: )?([\s\S]*) \((\d{3})\)$/.exec(textOf(error));
  return found === null ? undefined : { code: Number(found[2]), text: String(found[1]) };
}

/** What is known of a connection that did not open, or did not stay. */
export interface Failure {
  /** The socket's error code: ECONNREFUSED, DEPTH_ZERO_SELF_SIGNED_CERT, … */
  readonly code?: string | undefined;
  readonly text: string;
  /** The broker's own words, where it closed the connection. */
  readonly sentence?: Sentence | undefined;
}

/** The error of a connection that never opened. `secured` says that TLS, where wanted, stood. */
export function connectError(target: Target, failure: Failure, secured: boolean): ConnectionError {
  const { sentence } = failure;
  if (sentence === undefined) {
    return target.secure && !secured
      ? failed("broker-tls", target, "failed at TLS: ", failure, target.hints.tls)
      : failed("broker-unreachable", target, "cannot be reached: ", failure);
  }
  if (sentence.code === 403) {
    return failed("broker-credentials-refused", target, "refused the user name or password", failure);
  }
  if (sentence.code !== 530) return lostError(target, failure);
  return failed(
    /not found/.test(sentence.text) ? "broker-vhost-missing" : "broker-vhost-refused",
    target,
    `refused the virtual host ${JSON.stringify(target.vhost)}: `,
    failure,
    "Check its name and the user's rights; in the path of a URL a slash in it is written %2F.",
  );
}

/** The error of a connection that stood and broke. */
export function lostError(target: Target, failure: Failure): ConnectionError {
  const { sentence } = failure;
  return sentence === undefined
    ? failed("broker-lost", target, "was lost: ", failure)
    : failed("broker-closed", target, `closed the connection (${sentence.code}): `, failure);
}

/** Connecting took too long. */
export function connectTimeout(target: Target, ms: number): ConnectionError {
  return failed("broker-timeout", target, `did not answer within ${ms} ms`);
}

/** The peer speaks, but no AMQP. */
export function protocolError(target: Target, text: string): ConnectionError {
  return failed("broker-protocol", target, "does not speak AMQP 0-9-1: ", { text }, target.hints.protocol);
}

/** Nothing came for two heartbeats. */
export function silence(target: Target, seconds: number): ConnectionError {
  return failed("broker-silent", target, `was silent for two heartbeats of ${seconds} s`);
}

/** A `what` that ends in ": " goes on with the words of others, without our secrets and without a full stop of their own. */
function failed(
  code: string,
  target: Target,
  what: string,
  failure?: Failure,
  hint?: string,
): ConnectionError {
  const text = failure &&
    redactSecrets((failure.sentence ?? failure).text, target.secrets).replace(/\.+$/, "");
  return new ConnectionError(
    code,
    `The broker at ${target.place} ${what}${what.endsWith(" ") ? text : ""}.`,
    {
      cause: failure && Object.assign(new Error(text), failure.code && { code: failure.code }),
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

/** What a method call on a channel was about: a queue, its name. */
export type Subject =
  | { readonly kind: "exchange" | "queue"; readonly name: string }
  | BindingEntity;

/** What the broker's reply codes mean where a declaration, a consume or a count met them. */
const REFUSALS: Readonly<Record<number, readonly [code: string, what: string, hint?: string]>> = {
  403: ["topology-refused", "is refused to us"],
  404: ["queue-missing", "cannot be used"],
  405: ["queue-locked", "belongs to another connection"],
  406: [
    "topology-mismatch",
    "exists with other properties",
    "Every peer must declare it alike; change the declaration, or delete it on the broker.",
  ],
};

/** A channel closed over a declaration, a consume or a count: names the entity and gives the broker's words. */
export function channelError(about: Subject, error: unknown): Error {
  const name = about.kind === "binding"
    ? `${about.exchange} -> ${about.queue} (${about.routingKey})`
    : about.name;
  const subject = `The ${about.kind} ${JSON.stringify(name)}`;
  const sentence = sentenceOf(error);
  if (sentence === undefined) {
    if (error instanceof CeleriacError) return error;
    // The library's own refusal to write it: a name over 255 bytes, arguments over 4 kB.
    return new ConfigurationError(
      "topology-invalid",
      `${subject} cannot be sent: ${textOf(error).slice(0, 120)}.`,
    );
  }
  const { text } = sentence;
  const refusal = REFUSALS[sentence.code];
  if (refusal === undefined) {
    return new ConnectionError(
      "channel-closed",
      `${subject} met a closed channel: ${text} (${sentence.code}).`,
    );
  }
  const [code, what, hint] = refusal;
  return new ConfigurationError(
    /no exchange/.test(text) ? "exchange-missing" : code,
    `${subject} ${what}: ${text}.`,
    hint === undefined ? {} : { hint },
  );
}

/** What an error says. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
