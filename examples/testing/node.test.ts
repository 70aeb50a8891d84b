/**
 * With node:test: `node --import jiti/register --test node.test.ts`, from Node 24 on `node --test node.test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createHarness } from "celeriac/testing";
import { app, charge, remind } from "./tasks.ts";

test("an order is charged at once, and reminded of after a day", async () => {
  await using harness = await createHarness(app);
  const charged = await charge.delay(7, 100);
  harness.assertEnqueued(charge, { args: [7, 100], countdown: null });
  assert.equal(await charged.get(), "charged 100");
  harness.assertEnqueued(remind, { args: [7], countdown: "1d", parentId: charged.id });
  harness.refuteSucceeded(remind);
  await harness.advance("1d");
  harness.assertSucceeded(remind);
});

test("an order of nothing fails, and nobody is reminded", async () => {
  await using harness = await createHarness(app);
  const charged = await charge.delay(8, 0);
  await assert.rejects(charged.get(), { code: "task-failed", excType: "RangeError" });
  harness.refuteEnqueued(remind);
});

test("a worker that dies before its ack: another one charges again", async () => {
  await using harness = await createHarness(app);
  await harness.fault.kill("worker-1", { at: "stored" });
  const charged = await charge.delay(9, 100);
  await harness.worker();
  await harness.drain();
  const { attempts, state } = await harness.outcome(charged);
  const workers = attempts.map(({ worker }) => worker);
  assert.deepEqual([state, ...workers], ["SUCCESS", "worker-1", "worker-2"]);
});
