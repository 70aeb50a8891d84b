/**
 * Revokes as they are kept in a backend: one small fact each, under its own expiry, which any worker of any process can ask for.
 *
 * @module
 */
import type { Facts } from "../backend.ts";

const BY_ID = "revoked:";
const BY_STAMP = "revoked-stamp:";

/** Stamped headers and the values that are revoked: one, or a list (Celery: `revoke_by_stamped_headers`). */
export type StampedHeaders = Readonly<Record<string, unknown>>;

/** The fact that a task is revoked. */
export function revokeFact(id: string): string {
  return `${BY_ID}${id}`;
}

/** The fact that what bears this stamp is revoked. */
export function stampFact(stamp: string): string {
  return `${BY_STAMP}${stamp}`;
}

/** The id of the task that this fact revokes, if it is such a fact. */
export function revokedBy(fact: string): string | undefined {
  return fact.startsWith(BY_ID) ? fact.slice(BY_ID.length) : undefined;
}

/**
 * Each header with each of its values, as one text: equal stamps have equal texts. At most `most` of them: what a message says of itself
 * has no bound of its own.
 */
export function stampsOf(headers: StampedHeaders, most: number = Infinity): string[] {
  const stamps: string[] = [];
  for (const [header, given] of Object.entries(headers)) {
    for (const value of Array.isArray(given) ? given as unknown[] : [given]) {
      if (stamps.length >= most) return stamps;
      const text = stampText(header, value);
      if (text !== undefined) stamps.push(text);
    }
  }
  return stamps;
}

/** Python's 1 and 1.0 are equal, and so are they here; what is no scalar matches by its JSON text. */
function stampText(header: string, value: unknown): string | undefined {
  try {
    return JSON.stringify([header, typeof value === "bigint" ? Number(value) : value]);
  } catch {
    return undefined;
  }
}

/** Keeps these facts for `ttl` ms. */
export async function keepFacts(facts: Facts, keys: readonly string[], ttl: number): Promise<void> {
  await Promise.all(keys.map((key) => facts.put(key, "1", { ttl })));
}
