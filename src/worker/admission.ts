/**
 * What is found out about a message before it is in line for a slot: whether it is revoked, and whether it is suspect.
 *
 * @module
 */
import type { Request } from "./request.ts";
import type { Revoked } from "./revokes.ts";

/** What is done with it. */
export type Admission =
  /** It is in line for a slot. */
  | { readonly do: "line" }
  /** It has begun twice and came to no end: it waits for its turn first. */
  | { readonly do: "wait" }
  | { readonly do: "discard"; readonly revoked: Revoked };

/** Whether there is anything to ask. */
export function isAskedFor(request: Request): boolean {
  return mayBeRevoked(request) || request.env.starts.counts(request);
}

/** Asks the backend. Never rejects. */
export async function ask(request: Request): Promise<Admission> {
  const { revokes, starts } = request.env;
  const [revoked, isSuspect] = await Promise.all([
    mayBeRevoked(request) ? revokes.ask(request.message) : undefined,
    starts.counts(request) && starts.isSuspect(request),
  ]);
  if (revoked !== undefined) return { do: "discard", revoked };
  return { do: isSuspect ? "wait" : "line" };
}

/** Each time is a round trip, which a message that comes for the first time, to run at once, is spared. */
function mayBeRevoked({ delivery, env, message }: Request): boolean {
  const { workerCheckRevoked } = env.settings;
  if (workerCheckRevoked !== "returned") return workerCheckRevoked === "always";
  return env.backend?.facts !== undefined &&
    (delivery.redelivered || message.eta !== null || message.retries > 0);
}
