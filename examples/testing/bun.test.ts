/**
 * With Bun's runner: `bun test bun.test.ts`.
 *
 * @module
 */
import { expect, test } from "bun:test";
import { createHarness, type HarnessMatchers, harnessMatchers } from "celeriac/testing";
import { app, charge, remind } from "./tasks.ts";

declare module "bun:test" {
  interface Matchers<T> extends HarnessMatchers {}
}

expect.extend(harnessMatchers);

test("an order is charged at once, and reminded of after a day", async () => {
  await using harness = await createHarness(app);
  const charged = await charge.delay(7, 100);
  expect(harness).toHaveEnqueued(charge, { args: [7, 100], countdown: null });
  expect(await charged.get()).toBe("charged 100");
  expect(harness).toHaveEnqueued(remind, { args: [7], countdown: "1d", parentId: charged.id });
  expect(harness).not.toHaveSucceeded(remind);
  await harness.advance("1d");
  expect(harness).toHaveSucceeded(remind);
});

test("an order of nothing fails, and nobody is reminded", async () => {
  await using harness = await createHarness(app);
  const charged = await charge.delay(8, 0);
  await expect(charged.get()).rejects.toThrow("nothing to charge for order 8");
  expect(harness).not.toHaveEnqueued(remind);
});

test("a worker that dies before its ack: another one charges again", async () => {
  await using harness = await createHarness(app);
  await harness.fault.kill("worker-1", { at: "stored" });
  const charged = await charge.delay(9, 100);
  await harness.worker();
  await harness.drain();
  const { attempts, state } = await harness.outcome(charged);
  const workers = attempts.map(({ worker }) => worker);
  expect([state, ...workers]).toEqual(["SUCCESS", "worker-1", "worker-2"]);
});
