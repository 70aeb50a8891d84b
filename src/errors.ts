/**
 * Every error class of the house: each carries a stable `code`, its `cause` where there is one, and a `hint` that says what to do.
 *
 * @module
 */

/** How an error of ours is made: what caused it and what the reader can do about it. */
export interface ErrorDetails {
  /** The error underneath, kept as `cause`. */
  readonly cause?: unknown;
  /** One sentence on what to do; appended to the message. */
  readonly hint?: string;
}

/**
 * The base of every error that celeriac throws. `code` is stable between releases, message texts are not.
 */
export class CeleriacError extends Error {
  /** A stable kebab-case word for `switch`. */
  readonly code: string;
  /** What to do about it, in one sentence. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(
      details.hint === undefined ? message : `${message} ${details.hint}`,
      details.cause === undefined ? {} : { cause: details.cause },
    );
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
  }
}

/** The program is set up wrongly: unknown option, no broker, bad URL, two tasks of one name (Celery: ImproperlyConfigured). */
export class ConfigurationError extends CeleriacError {}

/** A server could not be reached, refused us, or went away (Celery: OperationalError). */
export class ConnectionError extends CeleriacError {}

/**
 * A message was not confirmed. `code` is `publish-unroutable`, `publish-refused` or `publish-unknown`; after `publish-unknown` the
 * message may or may not be in the broker, so that a repeat may double it.
 */
export class PublishError extends CeleriacError {}

/** Something cannot be written to the wire: a value without a JSON form, a message over the limit (kombu: EncodeError). */
export class EncodeError extends CeleriacError {}

/** Bytes from the wire cannot be read: broken JSON, bad compression, over a limit (kombu: DecodeError). */
export class DecodeError extends CeleriacError {}

/** The content type is not on the allow-list `acceptContent` (kombu: ContentDisallowed). */
export class ContentDisallowedError extends CeleriacError {}

/** A message is no task message, or one whose fields make no sense (Celery: InvalidTaskError). */
export class InvalidTaskError extends CeleriacError {}

/** A wait ended by its deadline; the work itself may still go on (Celery: TimeoutError). */
export class TimeoutError extends CeleriacError {}
