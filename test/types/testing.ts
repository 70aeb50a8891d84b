/**
 * The types of the harness: this file is compiled, never run. What must not compile says so with `@ts-expect-error`.
 *
 * @module
 */
import * as z from "zod";
import { Celery } from "../../mod.ts";
import { createHarness, type Enqueued, type Harness, type HarnessMatchers } from "../../src/testing/mod.ts";

/** Compiles only where both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_yes: Same<A, B>): void {}

const app = new Celery("demo");
const add = app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
const mail = app.task("mail.send", { input: z.object({ to: z.email() }) }, ({ to }) => to);
const bound = app.task("t.bound", { bind: true }, (_task, url: string, n?: number) => url.length + (n ?? 0));

export async function good(): Promise<void> {
  await using harness = await createHarness(app, { seed: 7, now: "2026-01-01", workers: 2, patience: "2s" });
  same<typeof harness, Harness>(true);
  const sent = harness.assertEnqueued(add, { args: [1, 2], countdown: "1h", queue: "sums", eta: null });
  same<typeof sent, Enqueued<[x: number, y: number]>>(true);
  const [x]: readonly [number, number] = sent.args;
  harness.refuteEnqueued(add, { kwargs: { x }, priority: 3, expires: new Date() });
  harness.assertEnqueued(mail, { args: [{ to: "a@b.c" }] }).args[0].to.toUpperCase();
  harness.assertEnqueued(bound, { args: ["x"] });
  harness.assertEnqueued(bound, { args: ["x", 1] });
  same<ReturnType<typeof harness.enqueued>[number]["args"], readonly unknown[]>(true);
  harness.assertEnqueued("by.name", { args: [1, "two"] });
  const text: string = await harness.run(async () => String(await (await add.delay(1, 2)).get()));
  same<typeof text, string>(true);
  const number: number = await harness.run(() => 7);
  await harness.advance(number);
  await harness.advance("90s");
  await harness.advanceTo(new Date());
  same<Awaited<ReturnType<typeof harness.drain>>["ran"], number>(true);
  await harness.app.sendTask("t.add");
}

export async function matched(
  expecting: HarnessMatchers,
  ofJest: HarnessMatchers<Promise<void>>,
  harness: Harness,
): Promise<void> {
  expecting.toHaveEnqueued(add, { args: [1, 2] });
  expecting.toHaveEnqueued("by.name", { args: ["any"] });
  expecting.toHaveSucceeded(mail);
  expecting.toHaveSucceeded(await add.delay(1, 2));
  await ofJest.toHaveSucceeded("id");
  harness.assertSucceeded(harness.assertEnqueued(bound));
  // @ts-expect-error an argument of another type
  expecting.toHaveEnqueued(add, { args: ["1", 2] });
  // @ts-expect-error neither a task nor a call
  expecting.toHaveSucceeded(5);
  // @ts-expect-error a class has a name, and is no task
  expecting.toHaveSucceeded(Celery);
  // @ts-expect-error a task has no arguments here
  expecting.toHaveSucceeded(add, { args: [1, 2] });
}

export async function bad(harness: Harness): Promise<void> {
  // @ts-expect-error an argument of another type
  harness.assertEnqueued(add, { args: ["1", 2] });
  // @ts-expect-error too few arguments
  harness.assertEnqueued(add, { args: [1] });
  // @ts-expect-error no field of that name
  harness.assertEnqueued(add, { arg: [1, 2] });
  // @ts-expect-error an object that is no input of the task
  harness.assertEnqueued(mail, { args: [{ too: "a@b.c" }] });
  // @ts-expect-error the object itself, not its fields
  harness.refuteEnqueued(mail, { args: ["a@b.c"] });
  // @ts-expect-error a duration says its unit
  await harness.advance("90");
  // @ts-expect-error an instant is no number
  await harness.advanceTo(5);
  // @ts-expect-error no option of that name
  await createHarness(app, { worker: 1 });
  // @ts-expect-error a harness is made of an app
  await createHarness(add);
}
