/**
 * Redis's and the socket's errors as our coded ones. A client's errors carry the arguments of the command (payloads, passwords), so
 * they are never passed on, not even as a cause: a clean copy is.
 *
 * @module
 */
import { CeleriacError, ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { redactText } from "../../src/lib/redact.ts";
import { CODES, type Codes, type Role } from "./codes.ts";

/** What an error text may name of the server and must not name of its secrets. */
export interface Subject {
  /** @default "backend" */
  readonly role?: Role;
  /** The URL without secrets. */
  readonly address: string;
  readonly secrets: readonly string[];
}

interface Raw {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly errors?: unknown;
}

const CREDENTIALS = /^(?:WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)|without any password configured/;

/** Redis's words for "ask again later, or elsewhere". */
const PASSING =
  /^(?:LOADING|MASTERDOWN|READONLY|BUSY|CLUSTERDOWN|TRYAGAIN|ERR max number of clients reached)/;

/** Whether an answer was an error of the server, not of the link. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && (error.name === "ReplyError" || error.constructor.name === "ReplyError");
}

/** An error that a script answered as text. */
export function refusal(answer: unknown): Error {
  const error = new Error(String(answer));
  error.name = "ReplyError";
  return error;
}

/** Whether the server asks to come again later, or on another connection. */
export function isPassing(message: string): boolean {
  return PASSING.test(message);
}

/** The coded error for what a client threw or the server answered; errors of ours pass as they are. */
export function fault(error: unknown, subject: Subject): CeleriacError {
  if (error instanceof CeleriacError) return error;
  const cause = clean(error, subject);
  const { message } = cause;
  const { role = "backend" } = subject;
  const codes = codesOf(subject);
  const at = placeOf(subject);
  if (CREDENTIALS.test(message)) {
    return new ConnectionError(codes.credentials, `${at} refused the credentials: ${message}.`, {
      cause,
      hint: "Check user name and password in the URL.",
    });
  }
  if (message.startsWith("NOPERM")) {
    return new ConnectionError(
      codes.credentials,
      `${at} does not allow this user's command: ${message}.`,
      { cause, hint: RIGHTS[role] },
    );
  }
  if (isRefusal(error)) {
    return new ConnectionError(
      isPassing(message) ? codes.unavailable : codes.refused,
      `${at} refused a command: ${message}.`,
      { cause },
    );
  }
  return new ConnectionError(codes.unreachable, `${at} cannot be reached: ${message}.`, { cause });
}

/** The error for a call that met its deadline. */
export function late(what: string, ms: number, subject: Subject, cause?: Error): ConnectionError {
  const text = `${placeOf(subject)}: ${what} took longer than ${Math.round(ms)} ms`;
  return new ConnectionError(
    codesOf(subject).timeout,
    `${text}${cause === undefined ? "" : ` (${cause.message})`}.`,
    { cause },
  );
}

/** The error of what was under way when it was closed. */
export function closed(subject: Subject): ConnectionError {
  return new ConnectionError(codesOf(subject).closed, `${placeOf(subject)} was closed.`);
}

/** The error for an answer of another kind than was asked for. */
export function misfit(subject: Subject): ConnectionError {
  return new ConnectionError(
    codesOf(subject).lost,
    `${placeOf(subject)} gave an answer of another kind than was asked for.`,
  );
}

/** Whether the server does not allow this user the command or one of its keys. */
export function isForbidden(error: unknown): error is Error {
  return error instanceof ConnectionError && error.message.includes("NOPERM");
}

/** The error for a queue whose keys this user may not use. */
export function forbidden(queue: string, subject: Subject, cause: Error): ConfigurationError {
  return new ConfigurationError(
    "topology-refused",
    `${placeOf(subject)} does not allow this user's command on the queue ${queue}.`,
    { cause, hint: RIGHTS.broker },
  );
}

/** Whether it is the error of {@link closed}. */
export function isClosed(error: unknown): boolean {
  return error instanceof ConnectionError && /-closed$/.test(error.code);
}

/** Whether the server was not reached, or asks for patience: time may help. */
export function isPassingFault(error: unknown): error is CeleriacError {
  return error instanceof ConnectionError && /-(unreachable|timeout|unavailable|lost)$/.test(error.code);
}

/** The codes of what it is. */
export function codesOf({ role = "backend" }: Subject): Codes {
  return CODES[role];
}

/** How a message begins. */
export function placeOf({ role = "backend", address }: Subject): string {
  return `The Redis ${role === "broker" ? "broker" : "result backend"} at ${address}`;
}

/** What a user must be allowed. */
const RIGHTS = {
  backend:
    "The user needs GET, MGET, SET, DEL, EVAL, EVALSHA, INCR, PEXPIRE, PUBLISH and SUBSCRIBE on celery-task-meta-*.",
  broker:
    "The user needs its queues' lists, _kombu.binding.*, unacked*, celeriac:* and the channels, with +@read +@write +@scripting +@pubsub.",
};

/** What a connection throws where it is sure that the commands did not leave. */
export class NotSent extends Error {}

/** A copy with name, code and message only, the message without secrets and without the echo of a command's arguments. */
function clean(error: unknown, { secrets }: Subject): Error {
  const raw: Raw = typeof error === "object" && error !== null ? error : { message: String(error) };
  const first: Raw = Array.isArray(raw.errors) ? (raw.errors[0] as Raw) ?? raw : raw;
  const code = text(raw.code) || text(first.code);
  // "ERR unknown command 'EVAL', with args beginning with: 'return…' 'celery-task-meta-…' …"
  const said = (text(raw.message) || text(first.message) || code || "no reason given").replace(
    /,? with args beginning with:.*$/s,
    "",
  );
  const copy = new Error(redactText(said, secrets).replace(/\.+$/, ""));
  copy.name = text(raw.name) || "Error";
  if (code !== "") Object.defineProperty(copy, "code", { value: code, enumerable: true });
  return copy;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
