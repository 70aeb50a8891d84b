/**
 * The types of the app: this file is compiled, never run. What must not compile says so with `@ts-expect-error`.
 *
 * @module
 */
import * as v from "valibot";
import * as z from "zod";
import {
  type AnySignature,
  type AsyncResult,
  Celery,
  type PyDate,
  type RemoteTaskError,
  type Running,
  type Signature,
  type Task,
} from "../../mod.ts";
import "./registry.ts";

/** Compiles only where both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_yes: Same<A, B>): void {}

const app = new Celery("demo");
const add = app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
const fmt = app.task(
  "t.fmt",
  { queue: "q", rateLimit: "10/m" },
  async (n: number) => await Promise.resolve(`#${n}`),
);
const sum = app.task("t.sum", (xs: number[]) => xs.reduce((a, b) => a + b, 0));
const bound = app.task(
  "t.bound",
  { bind: true, params: ["url", "n?"], maxRetries: 3 },
  async (task, url: string, n?: number) => {
    task.signal.throwIfAborted();
    same<typeof task, Running>(true);
    return await Promise.resolve(url.length + (n ?? 0) + task.retries);
  },
);
const mail = app.task(
  "mail.send",
  { queue: "io", input: z.object({ to: z.email(), n: z.coerce.number().default(1) }) },
  async (m, task) => {
    same<typeof m, { to: string; n: number }>(true);
    await task.updateState("PROGRESS", { pct: 50 });
    return { sent: m.n };
  },
);
const vt = app.task("t.v", { input: v.object({ id: v.number() }) }, ({ id }) => id * 2);
const nothing = app.task("t.nothing", () => {});
const all = app.task(
  "t.all",
  { params: ["first", "*rest"] },
  (first: string, ...rest: number[]) => [first, rest.length] as const,
);
const tasks = { add, mail, vt, bound, fmt, sum };

export async function good(signal: AbortSignal): Promise<void> {
  const result = await add.delay(1, 2);
  same<typeof result, AsyncResult<number>>(true);
  same<Awaited<ReturnType<typeof result.get>>, number>(true);
  const either = await result.get({ propagate: false, timeout: "250ms", signal });
  same<typeof either, number | RemoteTaskError>(true);
  for await (const { state, meta } of result) {
    same<typeof state, string>(true);
    same<typeof meta, unknown>(true);
  }

  same<Awaited<ReturnType<typeof fmt.delay>>, AsyncResult<string>>(true);
  same<Awaited<ReturnType<typeof sum.delay>>, AsyncResult<number>>(true);
  same<Awaited<ReturnType<typeof bound.delay>>, AsyncResult<number>>(true);
  same<Awaited<ReturnType<typeof mail.delay>>, AsyncResult<{ sent: number }>>(true);
  await bound.delay("http://x");
  await bound.applyAsync(["u", 2], { countdown: "250ms" });
  await mail.delay({ to: "a@b.c" });
  await vt.delay({ id: 1 });
  await nothing.delay();
  await nothing.applyAsync();
  await nothing.applyAsync([], { countdown: 5 });
  await all.delay("a", 1, 2, 3);
  await add.applyAsync([1, 2], { queue: "q", priority: 5, link: fmt.s(), linkError: [nothing.si()] });
  await add.applyAsync([1], { kwargs: { y: 2 } });
  await add.applyAsync([], { kwargs: { x: 1, y: 2 } });

  const whole = add.s(1, 2);
  same<typeof whole, Signature<[], number>>(true);
  const partial = add.s(10);
  same<typeof partial, Signature<[number], number>>(true);
  const open = add.s();
  same<typeof open, Signature<[x: number, y: number], number>>(true);
  await whole.applyAsync();
  await whole.delay();
  await partial.delay(5);
  await partial.applyAsync([5], { countdown: 1 });
  await add.si(1, 2).set({ queue: "q" }).freeze().applyAsync();
  await bound.s("u").applyAsync();
  const any: AnySignature<number>[] = [whole, partial, open];
  void any;

  const many = await app.sendMany([add.s(1, 1), fmt.s(2), { name: "other", args: [1] }]);
  same<
    typeof many,
    [
      PromiseSettledResult<AsyncResult<number>>,
      PromiseSettledResult<AsyncResult<string>>,
      PromiseSettledResult<AsyncResult<unknown>>,
    ]
  >(true);

  const sent = await app.sendTask("proj.add", { args: [1] });
  same<typeof sent, AsyncResult<number>>(true);
  const other = await app.sendTask("any.name", { args: [1, "x"], kwargs: { day: {} as PyDate }, queue: "q" });
  same<typeof other, AsyncResult<unknown>>(true);
  const told = await app.sendTask<string>("any.name");
  same<typeof told, AsyncResult<string>>(true);
  const shipped = await app.ref("orders.ship").delay({ id: 1, sku: "a" });
  same<typeof shipped, AsyncResult<Record<string, string>>>(true);

  const jobs = app.tasksOf<typeof tasks>();
  same<Awaited<ReturnType<ReturnType<typeof jobs<"t.add">>["delay"]>>, AsyncResult<number>>(true);
  await jobs("mail.send").delay({ to: "a@b.c" });
  const theirs = app.tasksOf<typeof import("./tasks.ts")>();
  const length = await (await theirs("t.length").delay("abc")).get();
  same<typeof length, number>(true);

  const stored: Task<string, (x: number, y: number) => number> = add;
  await stored.delay(1, 2);
  await app.result<number>("id").get();
  await app.fork({ taskDefaultQueue: "other" }).close();
}

export async function bad(): Promise<void> {
  // @ts-expect-error wrong argument type
  await add.delay("1", 2);
  // @ts-expect-error an argument is missing
  await add.delay(1);
  // @ts-expect-error an argument too many
  await add.delay(1, 2, 3);
  // @ts-expect-error wrong argument type in applyAsync
  await add.applyAsync(["1", 2]);
  // @ts-expect-error applyAsync without the arguments that the task needs
  await add.applyAsync();
  // @ts-expect-error too many names
  app.task("t.names", { params: ["a", "b"] }, (a: number) => a);
  // @ts-expect-error too few names
  app.task("t.names", { params: ["a"] }, (a: number, b: number) => a + b);
  // @ts-expect-error the running task has no name among the parameters
  app.task("t.names", { bind: true, params: ["task", "a"] }, (_task, a: number) => a);
  // @ts-expect-error the running task is not an argument of the caller
  await bound.delay({ id: "x" }, "http://x");
  // @ts-expect-error payload
  await mail.delay({ to: 3 });
  // @ts-expect-error payload of the other library
  await vt.delay({ id: "1" });
  // @ts-expect-error bind and input exclude each other
  app.task("t.both", { bind: true, input: z.object({}) }, () => 1);
  // @ts-expect-error registry argument
  await app.ref("proj.add").delay("x");
  // @ts-expect-error no such name in the registry
  app.ref("proj.ad");
  // @ts-expect-error bad rate
  app.task("q", { rateLimit: "10/x" }, () => 1);
  // @ts-expect-error unknown task option
  app.task("q", { que: "io" }, () => 1);
  // @ts-expect-error unknown task name
  await app.tasksOf<typeof tasks>()("mail.snd").delay({ to: "a@b.c" });
  // @ts-expect-error a module's other exports are no tasks
  app.tasksOf<typeof import("./tasks.ts")>()("notATask");
  // @ts-expect-error a result is not a promise of its value
  const wrong: number = await add.delay(1, 2);
  // @ts-expect-error a result is not thenable
  void (await add.delay(1, 2)).then;
  // @ts-expect-error a signature that still needs arguments cannot be sent without them
  await add.s().applyAsync();
  // @ts-expect-error nor by delay
  await add.s(1).delay();
  // @ts-expect-error the argument still needed is a number
  await add.s(1).delay("x");
  // @ts-expect-error a signature of other needs
  const other: Signature<[string], number> = add.s(1);
  // @ts-expect-error a link is a signature, not a task
  await add.applyAsync([1, 2], { link: fmt });
  // @ts-expect-error a duration needs its unit
  await add.applyAsync([1, 2], { countdown: "10" });
  // @ts-expect-error unknown option of a call
  await app.sendTask("any.name", { quue: "q" });
  // @ts-expect-error unknown option of an app
  new Celery("x", { brocker: null });
  // @ts-expect-error a setting of another type
  new Celery("x", { taskAcksLate: "yes" });
  return void [wrong, other];
}
