/**
 * What a request is refused with: a status and Upstash's sentence.
 *
 * @module
 */

/** The statuses that the gateway gives, besides 200. */
export type RefusalStatus = 400 | 401 | 405 | 500 | 502 | 503 | 504;

/** Ends a request with `{"error": message}`. The message never holds a token, a Redis URL or a password. */
export class Refusal extends Error {
  /** The HTTP status. */
  readonly status: RefusalStatus;

  /** @param message what the client is told */
  constructor(status: RefusalStatus, message: string) {
    super(message);
    this.name = "Refusal";
    this.status = status;
  }
}

/** The request has more arguments than it may. */
export function tooMany(most: number): Refusal {
  return new Refusal(400, `ERR max arguments exceeded. Limit: ${most} arguments in one request`);
}

/** The body is not of the form that this path takes. */
export function malformed(what: string): Refusal {
  return new Refusal(400, `ERR failed to parse command: ${what}`);
}
