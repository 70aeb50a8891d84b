import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instantFormat } from "../../src/app/timezone.ts";
import { parseInstant } from "../../src/protocol/instant.ts";
import { messages, setup } from "./setup.ts";

describe("an instant in a zone", () => {
  test.each([
    ["UTC", "2026-07-01T12:00:00+00:00"],
    ["Etc/UTC", "2026-07-01T12:00:00+00:00"],
    ["Europe/Oslo", "2026-07-01T14:00:00+02:00"],
    ["America/New_York", "2026-07-01T08:00:00-04:00"],
    ["Asia/Kolkata", "2026-07-01T17:30:00+05:30"],
    ["Pacific/Auckland", "2026-07-02T00:00:00+12:00"],
  ])("%s is written with its offset", (zone, text) => {
    expect(instantFormat(zone)(Date.UTC(2026, 6, 1, 12))).toBe(text);
  });

  test("has milliseconds as Python's six digits, and none where they are zero", () => {
    expect(instantFormat("Europe/Oslo")(Date.UTC(2026, 0, 1, 0, 0, 0, 7))).toBe(
      "2026-01-01T01:00:00.007000+01:00",
    );
  });

  test("reads back as the same instant, around every change of clocks too", () => {
    const zones = [
      "UTC",
      "Europe/Oslo",
      "America/St_Johns",
      "Australia/Lord_Howe",
      "Asia/Kathmandu",
      "Pacific/Apia",
    ];
    const formats = zones.map((zone) => instantFormat(zone));
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        fc.nat(zones.length - 1),
        fc.integer({ min: Date.UTC(1972, 0, 1), max: Date.UTC(2100, 0, 1) }),
        (zone, ms) => {
          const text = formats[zone]?.(ms) ?? "";
          seen.add(text.slice(-6));
          expect(parseInstant(text)).toBe(ms);
        },
      ),
      { numRuns: 500 },
    );
    console.log("timezone: offsets seen", [...seen].sort().join(" "));
    expect(seen.size).toBeGreaterThan(8);
  });

  test("that no runtime knows is refused", () => {
    expect(() => instantFormat("Mars/Phobos")).toThrow(RangeError);
  });
});

describe("eta and expires", () => {
  test("are written in the app's zone", async () => {
    const { app, asked } = setup({ timezone: "Europe/Oslo" });
    await app.sendTask("t", { countdown: "90s", expires: 120 });
    await app.sendTask("t", { eta: new Date(Date.UTC(2026, 6, 1)), expires: new Date(Date.UTC(2026, 6, 2)) });
    await app.sendTask("t", { eta: "2030-01-02T03:04:05.123456-05:00" });
    expect(messages(asked).map(({ headers }) => [headers["eta"], headers["expires"]])).toEqual([
      ["2026-11-22T07:01:30+01:00", "2026-11-22T07:02:00+01:00"],
      ["2026-07-01T02:00:00+02:00", "2026-07-02T02:00:00+02:00"],
      ["2030-01-02T03:04:05.123456-05:00", null],
    ]);
    expect(messages(asked).map(({ properties }) => properties["expiration"])).toEqual([
      "120000",
      "0",
      undefined,
    ]);
  });

  test("a countdown of 0 is none, and one beside an eta wins, as in Celery", async () => {
    const { app, asked } = setup();
    await app.sendTask("t", { countdown: 0 });
    await app.sendTask("t", { countdown: 10, eta: new Date(0) });
    expect(messages(asked).map(({ headers }) => headers["eta"])).toEqual([null, "2026-11-22T06:00:10+00:00"]);
  });

  test.each([[{ eta: "tomorrow" }], [{ eta: new Date(NaN) }], [{ expires: new Date(NaN) }]])(
    "%j is refused before anything is sent",
    async (options) => {
      const { app, asked } = setup({ timezone: "Europe/Oslo" });
      await expect(app.sendTask("t", options)).rejects.toMatchObject({ code: "task-invalid" });
      expect(asked.batches).toHaveLength(0);
    },
  );
});
