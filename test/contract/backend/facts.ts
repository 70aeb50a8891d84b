/**
 * Contract: small facts with an expiry.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Facts } from "../../../src/backend.ts";
import { until } from "../../support/wait.ts";
import type { BackendSubject } from "../backend.ts";

const HOUR = 3_600_000;

export function exerciseFacts(subject: BackendSubject): void {
  const ttl = subject.shortestTtl ?? 1000;
  const deadline = ttl + (subject.patience ?? 10_000);
  const every = Math.min(50, ttl / 4);

  async function withFacts(action: (facts: Facts, key: string) => Promise<void>): Promise<void> {
    const backend = await subject.make();
    const { facts } = backend;
    if (facts === undefined) throw new Error("the backend keeps no facts");
    try {
      await action(facts, `celeriac-test.${crypto.randomUUID()}`);
    } finally {
      await backend.close();
    }
  }

  test("a fact is kept, overwritten and read", () =>
    withFacts(async (facts, key) => {
      expect(await facts.get(key)).toBeUndefined();
      expect(await facts.put(key, "one ü€", { ttl: HOUR })).toBe(true);
      expect(await facts.put(key, "two", { ttl: HOUR })).toBe(true);
      expect(await facts.get(key)).toBe("two");
    }));

  test("with ifAbsent the first one wins", () =>
    withFacts(async (facts, key) => {
      const won = await Promise.all(
        ["a", "b", "c"].map((value) => facts.put(key, value, { ttl: HOUR, ifAbsent: true })),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await facts.get(key)).toBe(["a", "b", "c"][won.indexOf(true)]);
    }));

  test("a fact goes when its time is over, and is absent then", () =>
    withFacts(async (facts, key) => {
      await facts.put(key, "short", { ttl });
      expect(await facts.get(key)).toBe("short");
      await until(async () => (await facts.get(key)) === undefined, {
        what: "the end of the fact",
        deadline,
        every,
      });
      expect(await facts.put(key, "next", { ttl, ifAbsent: true })).toBe(true);
    }));

  test("bump counts from 1, also when many bump at once", () =>
    withFacts(async (facts, key) => {
      expect(await facts.bump(key, { ttl: HOUR })).toBe(1);
      const counts = await Promise.all(Array.from({ length: 20 }, () => facts.bump(key, { ttl: HOUR })));
      expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
      expect(await facts.get(key)).toBe("21");
    }));

  test("the time of a count starts with its first bump, later ones do not prolong it", () =>
    withFacts(async (facts, key) => {
      await facts.bump(key, { ttl });
      let last = 1;
      await until(async () => {
        const count = await facts.bump(key, { ttl });
        const started = count < last;
        last = count;
        return started;
      }, { what: "a count that starts anew", deadline, every });
      expect(last).toBe(1);
    }));
}
