/**
 * The types of the producer: this file is compiled, never run. What must not compile says so with `@ts-expect-error`.
 *
 * @module
 */
import type { AsyncResult, Backend, Broker, PublishBroker } from "../../mod.ts";
import { Producer, type ProducerTask, resultOf, routes, type Sent } from "../../src/producer/mod.ts";
import "./registry.ts";

/** Compiles only where both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_yes: Same<A, B>): void {}

export async function good(broker: PublishBroker, whole: Broker, backend: Backend): Promise<void> {
  const producer = new Producer({
    broker,
    taskRoutes: routes({ "video.*": "video", mail: { queue: "mail", priority: 5 } }),
  });
  new Producer({ broker: whole });
  const jobs = producer.tasksOf<typeof import("./tasks.ts")>();
  const add = jobs("t.add");
  same<typeof add, ProducerTask<"t.add", (x: number, y: number) => number>>(true);
  const sent = await add.delay(2, 3);
  same<typeof sent, Sent<number>>(true);
  await add.applyAsync([2, 3], { queue: "q", countdown: "10s", priority: 5, eta: new Date(), timeout: 1 });
  await add.applyAsync([], { kwargs: { x: 2, y: 3 } });
  same<Awaited<ReturnType<ReturnType<typeof jobs<"t.length">>["delay"]>>, Sent<number>>(true);

  const result = resultOf(backend, sent);
  same<typeof result, AsyncResult<number>>(true);
  same<Awaited<ReturnType<typeof result.get>>, number>(true);
  same<ReturnType<typeof resultOf<string>>, AsyncResult<string>>(true);
  await resultOf<string>(backend, "an-id").get();

  const known = await producer.sendTask("proj.add", { args: [1] });
  same<typeof known, Sent<number>>(true);
  const other = await producer.sendTask("any.name", { args: [1, "x"], kwargs: { a: 1 } });
  same<typeof other, Sent<unknown>>(true);
  const told = await producer.sendTask<string>("any.name");
  same<typeof told, Sent<string>>(true);
  const many = await producer.sendMany([{ name: "a", args: [1] }, { name: "b", queue: "q" }]);
  same<typeof many, PromiseSettledResult<Sent>[]>(true);
  await using closing = producer;
  void closing;
}

export async function bad(broker: PublishBroker, backend: Backend): Promise<void> {
  // @ts-expect-error a broker is needed
  new Producer({});
  // @ts-expect-error a URL is no broker
  new Producer({ broker: "amqp://" });
  // @ts-expect-error unknown option
  new Producer({ broker, taskDefaultQuue: "q" });
  // @ts-expect-error a setting of the worker
  new Producer({ broker, workerConcurrency: 4 });
  // @ts-expect-error routes are made by routes()
  new Producer({ broker, taskRoutes: { a: "b" } });
  // @ts-expect-error routes to an exchange take Celery
  routes({ a: { exchange: "x", routingKey: "k" } });
  // @ts-expect-error a policy is made by retryPolicy()
  new Producer({ broker, taskPublishRetryPolicy: { maxRetries: 1 } });
  const producer = new Producer({ broker });
  const jobs = producer.tasksOf<typeof import("./tasks.ts")>();
  // @ts-expect-error wrong argument type
  await jobs("t.add").delay("1", 2);
  // @ts-expect-error an argument is missing
  await jobs("t.add").delay(1);
  // @ts-expect-error unknown task name
  jobs("t.ad");
  // @ts-expect-error a module's other exports are no tasks
  jobs("notATask");
  // @ts-expect-error applyAsync without the arguments that the task needs
  await jobs("t.add").applyAsync();
  // @ts-expect-error links take Celery
  await jobs("t.add").applyAsync([1, 2], { link: [] });
  // @ts-expect-error compression takes Celery
  await producer.sendTask("any.name", { compression: "gzip" });
  // @ts-expect-error a duration needs its unit
  await producer.sendTask("any.name", { countdown: "10" });
  // @ts-expect-error what was sent is no result
  void (await producer.sendTask("any.name")).get;
  // @ts-expect-error nor thenable
  void (await jobs("t.add").delay(1, 2)).then;
  // @ts-expect-error the result is a number
  const wrong: AsyncResult<string> = resultOf(backend, await jobs("t.add").delay(1, 2));
  return void wrong;
}
