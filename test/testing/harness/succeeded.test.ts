import { expect, test } from "vitest";
import { createHarness } from "../../../src/testing/mod.ts";
import { failure, shop } from "./setup.ts";

test("a call has succeeded once its result is stored: by task, by result, by what was enqueued, by id", async () => {
  const { app, add, mail } = shop();
  await using harness = await createHarness(app);
  const result = await add.delay(1, 2);
  const later = await mail.applyAsync(["x"], { countdown: "1h" });
  await harness.drain();
  for (const call of [result, result.id, harness.assertEnqueued(add)]) harness.assertSucceeded(call);
  harness.assertSucceeded(add);
  harness.refuteSucceeded(mail);
  harness.refuteSucceeded(later);
  harness.refuteSucceeded("no such id");
  await harness.advance("1h");
  harness.assertSucceeded(mail);
});

test("a failure tells how each call fares, and how to see it again", async () => {
  const { app, fail, mail } = shop();
  await using harness = await createHarness(app, { seed: 4 });
  const failed = await fail.delay();
  const later = await mail.applyAsync(["x"], { countdown: "1h" });
  await mail.applyAsync(["y"], { countdown: "2h" });
  await harness.drain();
  const one = failure(() => harness.assertSucceeded(failed));
  expect(one.message.split("\n")).toEqual([
    `Task ${failed.id} has not succeeded.`,
    `  shop.fail() ${failed.id}, queue "celery", by client: FAILURE, RangeError: out of stock`,
    "Replay: createHarness(app, { seed: 4 })",
  ]);
  expect([one.actual, one.expected]).toEqual(["FAILURE", "SUCCESS"]);
  const some = failure(() => harness.assertSucceeded(mail));
  const [first, second, third] = some.message.split("\n");
  expect(first).toBe("No call of task shop.mail has succeeded.");
  expect(second).toBe(
    `  shop.mail("x") ${later.id}, queue "mails", countdown 3600 s, by client: PENDING, due at 2026-01-01T01:00:00.000Z`,
  );
  expect(third).toContain("PENDING, due at 2026-01-01T02:00:00.000Z");
  expect(some.actual).toEqual(["PENDING", "PENDING"]);
});

test("what was never sent, and what stores nothing, is told as that", async () => {
  const { app, add, mail } = shop();
  const quiet = app.task("shop.quiet", { ignoreResult: true }, () => 1);
  await using harness = await createHarness(app);
  await add.delay(1, 2);
  await quiet.delay();
  await harness.drain();
  const { message } = failure(() => harness.assertSucceeded(mail));
  expect(message.split("\n").slice(0, 3)).toEqual([
    "No call of task shop.mail has succeeded.",
    "It was not enqueued.",
    "Enqueued:",
  ]);
  expect(failure(() => harness.assertSucceeded("none")).message).toMatch(
    /^Task none has not succeeded\.\nIt was not/,
  );
  expect(failure(() => harness.assertSucceeded(quiet)).message).toContain(
    "PENDING, the task ignores its result: none is stored",
  );
});

test("a failure of refute lists what has succeeded", async () => {
  const { app, add } = shop();
  await using harness = await createHarness(app);
  const { id } = await add.delay(1, 2);
  await add.delay(3, 4);
  await harness.drain();
  expect(failure(() => harness.refuteSucceeded(id)).message).toMatch(
    /^It has succeeded:\n {2}shop\.add\(1, 2\) .*: SUCCESS\nReplay/,
  );
  expect(failure(() => harness.refuteSucceeded(add)).message).toMatch(/^2 calls have succeeded:\n/);
});

test("where nothing is recorded a call is still known by its id", async () => {
  const { app, add } = shop();
  await using harness = await createHarness(app, { record: false });
  const { id } = await add.delay(1, 2);
  await harness.drain();
  harness.assertSucceeded(id);
});
