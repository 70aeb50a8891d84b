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

/** Takes the broker's reply code and text out of the library's message. */
export function sentenceOf(error: unknown): Sentence | undefined {
  const [, text, code] = /closed: (.*) \((\d+)\)$/s.exec(textOf(error)) ?? [];
  return text === undefined ? text : { code: Number(code), text };
}

/** What is known of a connection that did not open, or did not stay. */
export interface Failure {
  /** The broker's reply code, or the socket's: ECONNREFUSED, DEPTH_ZERO_SELF_SIGNED_CERT, … */
  readonly code?: number | string | undefined;
  /** The broker's words, else the socket's or ours. */
  readonly text: string;
}

/** The code of the error for a connection that broke, or never `stood`. `secured` says that TLS, where wanted, stood. */
export function codeOf(target: Target, { code, text }: Failure, stood: boolean, secured: boolean): string {
  if (typeof code !== "number") {
    return stood ? "broker-lost" : target.secure && !secured ? "broker-tls" : "broker-unreachable";
  }
  if (code === 403 && !stood) return "broker-credentials-refused";
  if (code !== 530 || stood) return "broker-closed";
  return /not found/.test(text) ? "broker-vhost-missing" : "broker-vhost-refused";
}

/** The error of a code that begins with "broker-": the words of others in it are without our secrets, and end without a full stop. */
export function brokerError(code: string, target: Target, failure: Failure): ConnectionError {
  const text = redactSecrets(failure.text, target.secrets).replace(/[ .]+$/, "");
  const kind = code.slice("broker-".length).replaceAll("-", " ");
  return new ConnectionError(code, `The broker at ${target.place} (${kind}): ${text}.`, {
    hint: target.hints?.[code],
    ...(typeof failure.code === "string" &&
      { cause: Object.assign(new Error(text), { code: failure.code }) }),
  });
}

/** Connecting took too long. */
export function connectTimeout(target: Target, ms: number): ConnectionError {
  return brokerError("broker-timeout", target, { text: `no answer within ${ms} ms` });
}

/** Nothing came for two heartbeats. */
export function silence(target: Target, seconds: number): ConnectionError {
  return brokerError("broker-silent", target, { text: `nothing came for two heartbeats of ${seconds} s` });
}

/** What a method call on a channel was about: a queue, its name. */
export type Subject =
  | { readonly kind: "exchange" | "queue"; readonly name: string }
  | BindingEntity;

/** What the broker's reply codes mean where a declaration, a consume or a count met them. */
const REFUSALS: Readonly<Record<number, string>> = {
  403: "topology-refused",
  404: "queue-missing",
  405: "queue-locked",
  406: "topology-mismatch",
};

/** A channel closed over a declaration, a consume or a count: names the entity and gives the broker's words. */
export function channelError(about: Subject, error: unknown): Error {
  if (error instanceof CeleriacError) return error;
  const sentence = sentenceOf(error);
  const text = sentence?.text ?? textOf(error).slice(0, 120);
  // What the broker did not say is the library's own refusal to write it: a name over 255 bytes, arguments over 4 kB.
  const refusal = sentence === undefined ? "topology-invalid" : REFUSALS[sentence.code];
  const code = /no exchange/.test(text) ? "exchange-missing" : refusal;
  const name = about.kind === "binding" ? about.queue : about.name;
  return new (code === undefined ? ConnectionError : ConfigurationError)(
    code ?? "channel-closed",
    `The ${about.kind} ${name} cannot be used: ${text}.`,
  );
}

/** What an error says. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
