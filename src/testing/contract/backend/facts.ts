/**
 * Contract: small facts with an expiry.
 *
 * @module
 */
import type { Facts } from "../../../backend.ts";
import { AssertionError } from "../../assert.ts";
import { pause } from "../../wait.ts";
import { type Archive, type BackendSuite, HOUR } from "./archive.ts";

export function factsTests({ check, test }: BackendSuite): void {
  async function factsOf(archive: Archive): Promise<Facts> {
    const { facts } = await archive.backend();
    if (facts === undefined) throw new AssertionError("expected a backend that keeps facts");
    return facts;
  }

  test("a fact is kept, overwritten and read", async (archive) => {
    const [facts, key] = [await factsOf(archive), archive.id()];
    check.equal(await facts.get(key), undefined, "a fact that was never put");
    check.equal(await facts.put(key, "one ü€", { ttl: HOUR }), true, "the first put");
    check.equal(await facts.get(key), "one ü€", "the fact");
    check.equal(await facts.put(key, "two", { ttl: HOUR }), true, "the second put");
    check.equal(await facts.get(key), "two", "the fact");
  });

  test("with ifAbsent the first one wins", async (archive) => {
    const [facts, key] = [await factsOf(archive), archive.id()];
    const values = ["a", "b", "c"];
    const won = await Promise.all(
      values.map((value) => facts.put(key, value, { ttl: HOUR, ifAbsent: true })),
    );
    check.equal(won.filter(Boolean).length, 1, "how many of three won");
    check.equal(await facts.get(key), values[won.indexOf(true)], "the fact");
  });

  test("a fact goes when its time is over, and is absent then", async (archive) => {
    const [facts, key] = [await factsOf(archive), archive.id()];
    const { ttl } = archive;
    const started = archive.elapsed;
    await facts.put(key, "short", { ttl });
    const early = await facts.get(key);
    // An answer that comes later says nothing.
    if (archive.elapsed - started < ttl) check.equal(early, "short", "the fact before its time is over");
    await archive.expiry(async () => (await facts.get(key)) === undefined, { what: "the end of the fact" });
    check.equal(await facts.put(key, "next", { ttl, ifAbsent: true }), true, "a put with ifAbsent after it");
  });

  test("bump counts from 1, also when many bump at once", async (archive) => {
    const [facts, key] = [await factsOf(archive), archive.id()];
    check.equal(await facts.bump(key, { ttl: HOUR }), 1, "the first bump");
    const counts = await Promise.all(Array.from({ length: 20 }, () => facts.bump(key, { ttl: HOUR })));
    const wanted = Array.from({ length: 20 }, (_, index) => index + 2);
    check.equal(counts.sort((a, b) => a - b), wanted, "the next 20");
    check.equal(await facts.get(key), "21", "the fact");
  });

  test("the time of a count starts with its first bump, later ones do not prolong it", async (archive) => {
    const [facts, key] = [await factsOf(archive), archive.id()];
    const { ttl } = archive;
    await facts.bump(key, { ttl });
    let last = 1;
    await archive.expiry(async () => {
      const count = await facts.bump(key, { ttl });
      const started = count < last;
      last = count;
      return started;
    }, { what: "a count that starts anew", seen: () => String(last) });
    check.equal(last, 1, "the first count after the end");
  });

  test("putting anew begins the time anew", async (archive) => {
    const [facts, key] = [await factsOf(archive), archive.id()];
    await facts.put(key, "short", { ttl: archive.ttl });
    await facts.put(key, "long", { ttl: HOUR });
    await pause(archive.ttl + 50);
    check.equal(await facts.get(key), "long", "the fact when the first time is over");
  });

  test("keys and values are any text", async (archive) => {
    const facts = await factsOf(archive);
    for (const begin of ["__proto__.", "constructor.", "a b\nc.", "ü€😀."]) {
      const key = archive.id(begin);
      for (const value of ["", "0", "ü€😀\n"]) {
        await facts.put(key, value, { ttl: HOUR });
        check.equal(await facts.get(key), value, `the fact ${JSON.stringify(key)}`);
      }
      check.equal(await facts.put(key, "late", { ttl: HOUR, ifAbsent: true }), false, "a put with ifAbsent");
    }
  });

  test("facts are kept over a close", async (archive) => {
    const backend = await archive.backend();
    const key = archive.id();
    await backend.facts?.put(key, "kept", { ttl: HOUR });
    await backend.close();
    check.equal(await backend.facts?.get(key), "kept", "the fact after the close");
  });
}
