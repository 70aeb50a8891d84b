/**
 * With Deno's runner: `deno test -A deno.test.ts`.
 *
 * @module
 */
import { assert, createHarness } from "celeriac/testing";
import { app, charge, remind } from "./tasks.ts";

Deno.test("an order is charged at once, and reminded of after a day", async () => {
  await using harness = await createHarness(app);
  const charged = await charge.delay(7, 100);
  harness.assertEnqueued(charge, { args: [7, 100], countdown: null });
  assert.deepEqual(await charged.get(), "charged 100", "what was charged");
  harness.assertEnqueued(remind, { args: [7], countdown: "1d", parentId: charged.id });
  harness.refuteSucceeded(remind);
  await harness.advance("1d");
  harness.assertSucceeded(remind);
});

Deno.test("an order of nothing fails, and nobody is reminded", async () => {
  await using harness = await createHarness(app);
  const charged = await charge.delay(8, 0);
  const failure = await charged.get({ propagate: false });
  assert.deepEqual((failure as { excType?: string }).excType, "RangeError", "what was thrown");
  harness.refuteEnqueued(remind);
});

Deno.test("a worker that dies before its ack: another one charges again", async () => {
  await using harness = await createHarness(app);
  await harness.fault.kill("worker-1", { at: "stored" });
  const charged = await charge.delay(9, 100);
  await harness.worker();
  await harness.drain();
  const { attempts, state } = await harness.outcome(charged);
  const workers = attempts.map(({ worker }) => worker);
  assert.deepEqual([state, ...workers], ["SUCCESS", "worker-1", "worker-2"], "the state, and who charged");
});
