/**
 * Which verdict each publish gets when the broker speaks about more than one of them. Pure functions over what is known.
 *
 * @module
 */
import type { Outgoing, Verdict } from "../../src/broker.ts";
import type { Publication } from "./batch.ts";
import { type Sentence, textOf } from "./errors.ts";

/** The one good verdict, shared. */
export const CONFIRMED: Verdict = { is: "confirmed" };

/** No queue took it. */
export const UNROUTABLE: Verdict = { is: "unroutable" };

/** The broker's nack: not stored. */
export const NACKED: Verdict = {
  is: "refused",
  reason: "nack: a queue is full, or the broker had an internal error",
  retry: true,
};

/** Certainly not stored, and a repeat may help. */
export function notSent(reason: string): Verdict {
  return { is: "refused", reason, retry: true };
}

/** Certainly not stored, and a repeat would fare the same. */
export function refused(reason: string): Verdict {
  return { is: "refused", reason, retry: false };
}

/** Bytes may have reached the broker. */
export function unknown(reason: string): Verdict {
  return { is: "unknown", reason };
}

/** The longest expiration, ms: ten years of 365 days. RabbitMQ closes the channel over 1 ms more (406, value_too_large). */
const LONGEST_EXPIRATION = 315_360_000_000;

/** The verdict on what the broker would close the channel for. */
export function problemOf({ message, notBefore }: Outgoing, maxMessage: number): Verdict | undefined {
  const { body: { length }, properties: { expiration = null } } = message;
  if (length > maxMessage) return refused(`a body of ${length} bytes, over maxMessage (${maxMessage})`);
  if (
    expiration !== null && !(/^\d+$/.test(String(expiration)) && Number(expiration) <= LONGEST_EXPIRATION)
  ) {
    return refused("the property expiration must be ms as text, at most ten years");
  }
  return notBefore === undefined ? notBefore : refused("RabbitMQ has no notBefore");
}

/** What happens to a publish that waited for its confirm when its channel was closed; "again" is safe, as it was not looked at. */
export type Fate = Verdict | "again";

/**
 * The fates of `pending`, in the order of publishing, after the broker closed their channel with `sentence`. A channel carries one
 * exchange. `confirmed` says whether that channel had a confirm before, and so whether the exchange existed then.
 *
 * The broker works through a channel in order and drops what follows the one that it refused. Those before it were taken, but their
 * confirms are lost: unknown. A refusal that names no culprit leaves all unknown, but for a single one.
 */
export function fatesAfterClose(
  pending: readonly Outgoing[],
  sentence: Sentence,
  confirmed: boolean,
): readonly Fate[] {
  const reason = `${sentence.text} (${sentence.code})`;
  const suspect = suspicion(sentence);
  const first = suspect === undefined ? -1 : pending.findIndex(suspect);
  if (suspect === undefined || first < 0) {
    return pending.map(() => (pending.length === 1 ? refused(reason) : unknown(reason)));
  }
  // Where publishing had worked, the exchange or the permission went in the middle: then only the last one is certain. Size never changes.
  const certain = sentence.code !== 406 && confirmed ? pending.findLastIndex(suspect) : first;
  return pending.map((outgoing, at) => {
    if (at < certain) return unknown(reason);
    return suspect(outgoing) ? refused(reason) : "again";
  });
}

/** Which publishes the broker's words fit. Refusals by name, key or size repeat alike, so the first that fits is the culprit. */
function suspicion({ code, text }: Sentence): ((outgoing: Outgoing) => boolean) | undefined {
  if (code === 404) return () => true;
  if (code === 403) {
    const topic = /access to topic '(.*)' in exchange /.exec(text)?.[1];
    return topic === undefined ? () => true : ({ to }) => to.routingKey === topic;
  }
  const size = code === 406 ? /message size (\d+) /.exec(text)?.[1] : undefined;
  return size === undefined ? undefined : ({ message }) => message.body.length === Number(size);
}

/** None of these left. */
export function refuse(publications: readonly Publication[], error: unknown): void {
  const verdict = notSent(textOf(error));
  for (const publication of publications) publication.settle(verdict);
}
