import * as v from "valibot";
import { expect, test } from "vitest";
import { createHarness, picksOf } from "../../../src/testing/mod.ts";
import { failure, shop } from "./setup.ts";

test("what was enqueued is read again from its message, field by field", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app, { workers: 0, now: "2026-03-01T12:00:00Z" });
  const { id } = await mail.applyAsync(["a@b.c"], {
    countdown: "90s",
    expires: 600,
    priority: 7,
    headers: { "x-shop": "north" },
  });
  expect(harness.enqueued()).toEqual([{
    task: "shop.mail",
    id,
    args: ["a@b.c"],
    kwargs: {},
    queue: "mails",
    exchange: "",
    routingKey: "mails",
    priority: 7,
    eta: new Date("2026-03-01T12:01:30Z"),
    countdown: 90,
    expires: new Date("2026-03-01T12:10:00Z"),
    headers: { "x-shop": "north" },
    retries: 0,
    parentId: null,
    rootId: id,
    groupId: null,
    sentAt: new Date("2026-03-01T12:00:00Z"),
    by: "client",
  }]);
});

test("a match names what it cares about, and finds by task, by name, in the order of sending", async () => {
  const { app, add, mail } = shop();
  await using harness = await createHarness(app, { workers: 0 });
  const at = new Date("2026-02-01T00:00:00Z");
  await add.delay(1, 2);
  await add.applyAsync([3, 4], { queue: "sums", priority: 3 });
  await mail.applyAsync(["x"], { eta: at, headers: { a: "1", b: "2" } });
  await app.sendTask("other", { kwargs: { who: { name: "Ann" }, when: at, gone: undefined } });
  expect(harness.enqueued().map(({ task }) => task)).toEqual(["shop.add", "shop.add", "shop.mail", "other"]);
  expect(harness.enqueued(add).map(({ args }) => args)).toEqual([[1, 2], [3, 4]]);
  expect(harness.enqueued(add, { priority: 3 })).toHaveLength(1);
  expect(harness.assertEnqueued(add, { args: [3, 4], queue: "sums" }).routingKey).toBe("sums");
  harness.assertEnqueued(add, { countdown: null, eta: null, args: [expect.any(Number), 2] });
  harness.assertEnqueued(mail, { eta: at, headers: { b: "2" } });
  harness.assertEnqueued(mail, { eta: "2026-02-01", args: expect.arrayContaining(["x"]) as never });
  harness.assertEnqueued("other", { kwargs: { who: { name: "Ann" } } });
  harness.assertEnqueued("other", { kwargs: { when: at, who: expect.objectContaining({ name: "Ann" }) } });
  harness.refuteEnqueued("other", { kwargs: { who: {} } });
  harness.refuteEnqueued(add, { args: [4, 3] });
  harness.refuteEnqueued("nothing");
  expect(harness.enqueued("other", { kwargs: { none: undefined } })).toHaveLength(1);
});

test("an input task is asked for by its object, however that travels", async () => {
  const { app } = shop();
  const schema = v.object({ to: v.string(), copies: v.optional(v.number(), 1) });
  const one = app.task("shop.one", { input: schema }, ({ to }) => to);
  const spread = app.task("shop.spread", { input: schema, params: ["to", "copies?"] }, ({ to }) => to);
  await using harness = await createHarness(app, { workers: 0 });
  await one.delay({ to: "a" });
  await spread.delay({ to: "b" });
  harness.assertEnqueued(one, { args: [{ to: "a" }] });
  harness.assertEnqueued(spread, { args: [{ to: "b" }], kwargs: { to: "b" } });
});

test("a failure says what is nearest and what is different there, all that was enqueued, and how to see it again", async () => {
  const { app, add, mail } = shop();
  await using harness = await createHarness(app, { workers: 0, seed: 5 });
  await add.applyAsync([1, 2], { queue: "sums" });
  const { id } = await add.applyAsync([1, 3], { countdown: 10 });
  await mail.delay("x");
  const error = failure(() => harness.assertEnqueued(add, { args: [1, 4], countdown: 10, queue: "celery" }));
  const [first = "", ...rest] = error.message.split("\n");
  expect(first).toBe('No task shop.add like { args: [1, 4], countdown: 10, queue: "celery" } was enqueued.');
  expect(rest.slice(0, 3)).toEqual([
    `The nearest is ${id}, sent by client:`,
    "  args: at [1]: expected 4, got 3",
    "Enqueued:",
  ]);
  expect(rest[3]).toMatch(/^ {2}shop\.add\(1, 2\) [0-9a-f-]{36}, queue "sums", by client$/);
  expect(rest[4]).toBe(`  shop.add(1, 3) ${id}, queue "celery", countdown 10 s, by client`);
  expect(rest.at(-1)).toBe("Replay: createHarness(app, { seed: 5 })");
  expect([error.name, error.code]).toEqual(["AssertionError", "ERR_ASSERTION"]);
  expect([error.actual, error.expected]).toEqual([
    { args: [1, 3], countdown: 10, queue: "celery" },
    { args: [1, 4], countdown: 10, queue: "celery" },
  ]);
});

test("a failure of refute lists what should not be there; one without any task says so", async () => {
  const { app, add, mail } = shop();
  await using harness = await createHarness(app, { workers: 0 });
  expect(failure(() => harness.assertEnqueued(add)).message).toContain("Nothing was enqueued.");
  await add.delay(1, 2);
  expect(failure(() => harness.refuteEnqueued(add, { args: [1, 2] })).message).toMatch(
    /^1 task shop\.add like \{ args: \[1, 2\] \} was enqueued:\n {2}shop\.add\(1, 2\) /,
  );
  expect(failure(() => harness.assertEnqueued(mail)).message).toMatch(
    /^No task shop\.mail was enqueued\.\nEnqueued:\n/,
  );
});

test("what differs is told by its place: kinds, lengths, keys that are missing or too many", async () => {
  const { app, echo } = shop();
  await using harness = await createHarness(app, { workers: 0 });
  await echo.delay({ list: [1, { a: "x" }], at: new Date(0), n: 1 });
  const different = (value: unknown): string => {
    const { message } = failure(() => harness.assertEnqueued(echo, { args: [value] }));
    return message.split("\n")[2]?.trim() ?? "";
  };
  const rest = { list: [1, { a: "x" }], at: new Date(0), n: 1 };
  expect(different({ ...rest, list: [1, { a: "y" }] })).toBe('args: at [0].list[1].a: expected "y", got "x"');
  expect(different({ ...rest, list: [1] })).toBe('args: at [0].list: expected [1], got [1, { a: "x" }]');
  expect(different({ ...rest, at: new Date(1) })).toMatch(
    /^args: at \[0\]\.at: expected 1970.*001Z, got 1970.*000Z/,
  );
  expect(different({ list: rest.list, at: rest.at })).toBe('args: at [0]: expected no "n", got 1');
  expect(different({ ...rest, more: 2 })).toBe("args: at [0].more: expected 2, got nothing");
  expect(different({ ...rest, n: "1" })).toBe('args: at [0].n: expected "1", got 1');
  expect(different({ ...rest, n: expect.any(String) })).toBe("args: at [0].n: 1 does not match");
});

test("what the broker did not take was not enqueued", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app, { workers: 0 });
  await expect(app.sendTask("x", { exchange: "amq.direct", routingKey: "nobody" })).rejects.toMatchObject({
    code: "publish-unroutable",
  });
  expect(harness.enqueued()).toEqual([]);
  await mail.delay("x");
  expect(harness.enqueued()).toHaveLength(1);
});

test("a match that cannot be is refused", async () => {
  const { app, mail } = shop();
  await using harness = await createHarness(app, { workers: 0 });
  await mail.delay("x");
  const look = (match: object) => () => harness.enqueued(mail, match);
  expect(look({ arg: [] })).toThrow(expect.objectContaining({ code: "option-unknown" }));
  expect(look({ eta: "soon" })).toThrow(expect.objectContaining({ code: "option-invalid" }));
  expect(look({ countdown: "5" })).toThrow(expect.objectContaining({ code: "duration-invalid" }));
});

test("the replay line has the picks that were used", async () => {
  const { app, mail } = shop();
  {
    await using harness = await createHarness(app, { seed: 3, picks: [0, 2, 0, 1, 0, 0] });
    await mail.delay("x");
    expect(harness.replay).toBe("Replay: createHarness(app, { seed: 3, picks: [0, 2, 0, 1] })");
  }
  await using endless = await createHarness(app, { picks: picksOf(1) });
  expect(endless.replay).toMatch(/picks: \[\d+(, \d+)+\] \}\)$/);
});

test("as much is kept as is asked for", async () => {
  const { app, add } = shop();
  {
    await using few = await createHarness(app, { workers: 0, record: 3 });
    for (let at = 0; at < 10; at++) await few.run(() => add.delay(at, 0));
    expect(few.enqueued(add).map(({ args }) => args[0])).toEqual([7, 8, 9]);
    expect(failure(() => few.assertEnqueued(add, { args: [1, 0] })).message).toContain("7 before these");
  }
  await using none = await createHarness(app, { workers: 0, record: false });
  await none.run(() => add.delay(1, 1));
  expect(none.history.entries).toEqual([]);
});

test("where nothing is recorded, or some was forgotten, nobody says that something was not", async () => {
  const { app, add, mail } = shop();
  const incomplete = expect.objectContaining({ code: "history-incomplete" });
  for (const record of [false, 2] as const) {
    await using harness = await createHarness(app, { record });
    for (let at = 0; at < 4; at++) await harness.run(async () => (await mail.delay(`${at}`)).get());
    expect(() => harness.refuteEnqueued(add)).toThrow(incomplete);
    expect(() => harness.refuteEnqueued(mail, { args: ["0"] })).toThrow(incomplete);
    expect(() => harness.refuteSucceeded(add)).toThrow(incomplete);
    expect(() => harness.enqueued(add)).toThrow(incomplete);
    expect(() => harness.check()).toThrow(incomplete);
  }
  await using enough = await createHarness(app, { workers: 0, record: 2 });
  await enough.run(() => mail.delay("one"));
  enough.refuteEnqueued(add);
  enough.refuteSucceeded(mail);
  expect(enough.enqueued(add)).toEqual([]);
});
