import { expect, test } from "vitest";
import { innerOf } from "../../../src/app/inner.ts";
import { AssertionError, createHarness } from "../../../src/testing/mod.ts";
import { until } from "../../support/wait.ts";
import { shop } from "./setup.ts";

/** What the end of a harness says. */
async function endOf(harness: AsyncDisposable): Promise<string> {
  try {
    await harness[Symbol.asyncDispose]();
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return (error as Error).message;
  }
}

test("a test that leaves nothing behind ends in silence, held tasks or not", async () => {
  const { app, mail } = shop();
  const harness = await createHarness(app, { workers: 2 });
  await mail.delay("now");
  await mail.applyAsync(["in an hour"], { countdown: "1h" });
  expect(await endOf(harness)).toBe("");
  // Nothing of it is done twice.
  expect(harness[Symbol.asyncDispose]()).toBe(harness[Symbol.asyncDispose]());
  expect(harness.workers.some(({ running }) => running)).toBe(false);
});

test("a send that nobody awaited is named, with its arguments", async () => {
  const { app, mail } = shop();
  const harness = await createHarness(app);
  await mail.delay("awaited");
  void mail.delay("a@b.c");
  const said = await endOf(harness);
  expect(said).toMatch(
    /a send that nobody awaited: shop\.mail\("a@b\.c"\) [0-9a-f-]{36}, queue "mails", by client/,
  );
  expect(said).not.toContain('"awaited"');
  expect(said).toContain("Replay: createHarness(app, { seed: 1 })");
});

test("a send that nobody awaits is no leak once it has gone out", async () => {
  const { app, mail, runs } = shop();
  const harness = await createHarness(app);
  void mail.delay("x");
  await until(() => runs.length > 0, { what: "the run" });
  expect(await endOf(harness)).toBe("");
});

test("a timer is named by its node, and by when it was set and is due", async () => {
  const { app } = shop();
  const harness = await createHarness(app);
  const { clock } = innerOf(harness.app).platform;
  await harness.advance("1h");
  clock.after(60_000, () => {});
  clock.after(1000, () => {}, { keepAlive: false });
  expect(await endOf(harness)).toContain(
    "a timer of client, set at 2026-01-01T01:00:00.000Z, due at 2026-01-01T01:01:00.000Z",
  );
});

test("a delivery that somebody of the test's own never settled is named by its queue", async () => {
  const { app } = shop();
  const harness = await createHarness(app, { workers: 0 });
  const broker = innerOf(harness.app).broker();
  await app.sendTask("shop.lost", { queue: "others" });
  const consumer = broker.consume(["others"], { prefetch: 1 });
  for await (const delivery of consumer) {
    expect(delivery.queue).toBe("others");
    break;
  }
  expect(await endOf(harness)).toContain('1 delivery of queue "others" that nobody settled');
});

test("a task that still runs is waited for, and named when patience ends", async () => {
  const { app, gate, slow } = shop();
  const patient = await createHarness(app);
  await slow.delay();
  setTimeout(() => gate.resolve(), 20);
  expect(await endOf(patient)).toBe("");

  const other = shop();
  const harness = await createHarness(other.app, { patience: "30ms" });
  const { id } = await other.slow.delay();
  await expect(harness[Symbol.asyncDispose]()).rejects.toMatchObject({
    code: "simulation-impatient",
    message: expect.stringContaining(`shop.slow[${id}]`) as string,
  });
});

test("after a failure that was told, the end says nothing more", async () => {
  const { app, mail } = shop();
  const harness = await createHarness(app);
  expect(() => harness.assertEnqueued(mail)).toThrow(AssertionError);
  void mail.delay("x");
  expect(await endOf(harness)).toBe("");
});
