/** Instants that make no sense, in a message from anybody: what each comes to is the table of docs/delivery.md. */
import { expect, test } from "vitest";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { ManualClock, manualPlatform } from "../memory/platform.ts";
import { until } from "../support/wait.ts";
import { setup } from "./setup.ts";

/** What becomes of a message with such an `eta`, and with such an `expires`. */
const TABLE: readonly (readonly [what: string, value: unknown, eta: Fate, expires: Fate])[] = [
  ["null", null, "runs", "runs"],
  ["a year that is over", "0001-01-01T00:00:00", "runs", "expired"],
  ["the epoch, naive", "1970-01-01T00:00:00", "runs", "expired"],
  ["before Christ's year in another zone", "0001-01-01T00:00:00+14:00", "rejected", "rejected"],
  ["the year 9999", "9999-12-31T23:59:59.999999+00:00", "parked", "runs"],
  ["the year 9999, west of Greenwich", "9999-12-31T23:59:59-14:00", "rejected", "rejected"],
  ["60 days ahead", "1970-03-02T00:00:00+00:00", "parked", "runs"],
  ["28 days ahead, and a second", "1970-01-29T00:16:41+00:00", "parked", "runs"],
  ["beyond 2^31 ms", "1970-01-27T00:00:00Z", "parked", "runs"],
  ["a date alone", "1970-06-01", "parked", "runs"],
  ["basic form", "19700601T120000Z", "parked", "runs"],
  ["a comma", "1970-06-01T12:00:00,5Z", "parked", "runs"],
  ["an offset of minutes and seconds", "1970-06-01T12:00:00+05:53:28", "parked", "runs"],
  ["the 30th of February", "1970-02-30T00:00:00", "rejected", "rejected"],
  ["a leap second", "1970-06-30T23:59:60Z", "rejected", "rejected"],
  ["an offset of a day", "1970-06-01T12:00:00+24:00", "rejected", "rejected"],
  ["the name of a zone", "1970-06-01T12:00:00 Europe/Oslo", "rejected", "rejected"],
  ["two offsets", "1970-06-01T12:00:00+01:00+01:00", "rejected", "rejected"],
  ["the year 0", "0000-01-01T00:00:00Z", "rejected", "rejected"],
  ["a negative year", "-0001-01-01T00:00:00Z", "rejected", "rejected"],
  ["JavaScript's long year", "+275760-09-13T00:00:00.000Z", "rejected", "rejected"],
  ["five digits", "10000-01-01T00:00:00Z", "rejected", "rejected"],
  ["a week", "1970-W01-1", "rejected", "rejected"],
  ["empty", "", "rejected", "rejected"],
  ["blank", " ", "rejected", "rejected"],
  ["words", "tomorrow", "rejected", "rejected"],
  ["NaN as a text", "NaN", "rejected", "rejected"],
  ["infinity", "infinity", "rejected", "rejected"],
  ["a number as a text", "5", "rejected", "rejected"],
  ["a megabyte", "1".repeat(1 << 20), "rejected", "rejected"],
  ["other digits", "١٩٧٠-٠٦-٠١T00:00:00", "rejected", "rejected"],
  ["a line break at its end", "1970-06-01T12:00:00Z\n", "rejected", "rejected"],
  ["0", 0, "rejected", "rejected"],
  ["seconds", 5, "rejected", "rejected"],
  ["a negative number", -1e300, "rejected", "rejected"],
  ["NaN", NaN, "rejected", "rejected"],
  ["Infinity", Infinity, "rejected", "rejected"],
  ["2^31", 2 ** 31, "rejected", "rejected"],
  ["2^53 and one more", 2n ** 53n + 1n, "rejected", "rejected"],
  ["true", true, "rejected", "rejected"],
  ["false", false, "rejected", "rejected"],
  ["an array", ["1970-06-01T12:00:00Z"], "rejected", "rejected"],
  ["an empty array", [], "rejected", "rejected"],
  ["an object", { toString: "1970-06-01T12:00:00Z" }, "rejected", "rejected"],
  [
    "Python's datetime as kombu writes it",
    { __type__: "datetime", __value__: "1970-06-01T12:00:00" },
    "rejected",
    "rejected",
  ],
  ["AMQP's timestamp", new Date(0), "rejected", "rejected"],
  ["bytes", new TextEncoder().encode("1970-06-01T12:00:00Z"), "rejected", "rejected"],
];

type Fate = "runs" | "parked" | "expired" | "rejected";

test("whatever stands in eta or expires, the worker lives, its neighbours run, and no timer is longer than it may be", async () => {
  const clock = new ManualClock();
  const platform = manualPlatform(clock);
  await using bench = setup({ platform, wrapBroker: () => memoryBroker({ platform }) });
  const ran = new Set<string>();
  bench.app.task("t.add", { bind: true }, (task) => void ran.add(task.id));
  const ids: string[] = [];
  for (const header of ["eta", "expires"]) {
    for (const [what, value] of TABLE) {
      const id = `${header} of ${what}`;
      ids.push(id);
      await bench.pushTask({ id, [header]: value });
      await bench.pushTask({ id: `beside ${id}` });
    }
  }
  // Nobody reads these: they are a caller's words, not the message's.
  await bench.pushTask({ id: "words", countdown: Infinity, notBefore: {}, "x-delay": -1, eta: null });
  const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 2 });
  await until(() => bench.trace.filter((line) => /^settle/.test(line)).length >= 2 * ids.length + 1 + 0, {
    what: "a fate for each",
    seen: () => String(bench.trace.length),
  });
  await until(() => ran.has("words") && ids.every((id) => ran.has(`beside ${id}`)), {
    what: "all neighbours",
  });
  await until(() => bench.unsettled.size === 0, { what: "nothing in hand" });
  const of = (id: string): string =>
    ran.has(id)
      ? "runs"
      : bench.trace.includes(`settle park ${id}`)
      ? "parked"
      : bench.trace.includes(`settle ack ${id}`)
      ? "expired"
      : bench.trace.includes(`settle reject ${id}`)
      ? "rejected"
      : "nothing";
  expect(ids.map((id) => [id, of(id)])).toEqual([
    ...TABLE.map(([what, , eta]) => [`eta of ${what}`, eta]),
    ...TABLE.map(([what, , , expires]) => [`expires of ${what}`, expires]),
  ]);
  // A message is settled once: what is rejected goes round no more.
  expect(bench.trace.filter((line) => line.startsWith("settle")).length).toBe(2 * 2 * TABLE.length + 1);
  expect(worker.snapshot().reserved).toEqual([]);
  // The broker's own wait for what is parked is the longest there is.
  for (const { at } of clock.waiting) expect(at - clock.now()).toBeLessThanOrEqual(28 * 86_400_000);
});
