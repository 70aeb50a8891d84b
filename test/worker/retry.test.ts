import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Celery,
  type Consumer,
  type Delivery,
  type Outgoing,
  Retry,
  type Running,
  type Verdict,
} from "../../mod.ts";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import type { TaskRules } from "../../src/app/task-rules.ts";
import { createHarness } from "../../src/testing/mod.ts";
import { autoretry, backoff } from "../../src/worker/retry.ts";
import type { Request } from "../../src/worker/request.ts";
import { Unsent } from "../../src/worker/unsent.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup, type SetupOptions } from "./setup.ts";

const LINK = {
  task: "t.next",
  args: [],
  kwargs: {},
  options: { task_id: "link-1" },
  subtask_type: null,
  immutable: false,
};

class Busy extends Error {
  override name = "Busy";
}

/** A bench, and what its app publishes; `verdict` says what the broker says, undefined leaves it to the broker. */
function tapped(
  { keeps = true, ...options }: SetupOptions & { readonly keeps?: boolean } = {},
  verdict: (outgoing: Outgoing, count: number) => Verdict | undefined = () => undefined,
): { bench: Bench; sent: Outgoing[] } {
  const sent: Outgoing[] = [];
  const bench = setup({
    ...options,
    taskPublishRetryPolicy: { maxRetries: 0 },
    wrapBroker: (broker) =>
      intercept(broker, {
        consume: (queues, how) =>
          keeps ? broker.consume(queues, how) : unkeeping(broker.consume(queues, how)),
        async publish(batch, call) {
          // What the bench puts in itself is not the app's.
          if (batch.every(({ message }) => message.headers["origin"] === undefined)) {
            return await broker.publish(batch, call);
          }
          sent.push(...batch);
          const own = batch.map((each) => verdict(each, sent.length));
          const real = own.some((each) => each === undefined) ? await broker.publish(batch, call) : [];
          return own.map((each, at) => each ?? real[at]) as Verdict[];
        },
      }),
  });
  return { bench, sent };
}

/** A consumer whose broker keeps no message for a while. */
function unkeeping(consumer: Consumer): Consumer {
  return intercept(consumer, {
    async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
      for await (const delivery of consumer) {
        yield intercept(delivery, {
          settle: (how) =>
            how.as === "requeue" && how.notBefore !== undefined
              ? Promise.reject(new Error("not kept"))
              : delivery.settle(how),
        });
      }
    },
  });
}

const REFUSED: Verdict = { is: "refused", reason: "full", retry: true };

describe("task.retry()", () => {
  test("sends the message again with one retry more and all that it said, to the queue that it came from", async () => {
    const { bench, sent } = tapped();
    await using _ = bench;
    const again4 = (task: Running, _x: unknown, _y: unknown, _z: unknown): string => {
      if (task.retries === 4) task.retry({ countdown: 0, error: new RangeError("again") });
      return "done";
    };
    bench.app.task("t.add", { bind: true, acksLate: true, maxRetries: 9, params: ["x", "y", "z"] }, again4);
    const embed = {
      callbacks: null,
      errbacks: [{ ...LINK, task: "t.errback" }],
      chain: [{ ...LINK, task: "t.later", options: { task_id: "later-1" } }, LINK],
      chord: null,
    };
    const headers = {
      task: "t.add",
      id: "id-1",
      root_id: "root-1",
      parent_id: "parent-1",
      group: "group-1",
      group_index: 2,
      retries: 4,
      shadow: "pretty",
      eta: null,
      expires: "2999-01-01T00:00:00.123456+00:00",
      timelimit: [30, 20.5],
      argsrepr: "(secret)",
      kwargsrepr: "{secret}",
      ignore_result: false,
      replaced_task_nesting: 3,
      stamped_headers: ["stamp"],
      stamps: { stamp: ["s"] },
      mine: { deep: true },
    };
    const text = `[[1.0, 12345678901234567890], {"z": {"__type__": "uuid", "__value__": {"hex": "${
      "ab".repeat(16)
    }"}}}, ${JSON.stringify(embed)}]`;
    await bench.push({
      headers: {
        ...headers,
        ...{ "x-death": [{ count: 1 }], "x-first-death-queue": "q", "celeriac-route": ["", "odd"] },
      },
      properties: { priority: 7, reply_to: "reply-1", correlation_id: "id-1", delivery_mode: 2 },
      body: new TextEncoder().encode(text),
    }, "odd");
    bench.work({ queues: ["odd"] });
    await bench.sees("id-1", "SUCCESS");
    const [again] = sent as [Outgoing];
    expect(again.to).toEqual({ exchange: "", routingKey: "odd" });
    expect(again.mustRoute).toBe(true);
    expect(again.message.headers).toEqual({
      ...headers,
      retries: 5,
      lang: "js",
      origin: expect.any(String),
      timelimit: [30, 20.5],
    });
    expect(again.message.properties).toMatchObject({
      priority: 7,
      reply_to: "reply-1",
      correlation_id: "id-1",
      delivery_mode: 2,
    });
    const body = new TextDecoder().decode(again.message.body);
    expect(body).toContain(`[[1.0, 12345678901234567890], {"z": {"__type__": "uuid"`);
    expect(JSON.parse(body)[2]).toEqual(embed);
    // Nothing of the chain went out before the end.
    expect(sent.map(({ message }) => message.headers["task"])).toEqual(["t.add", "t.next"]);
    expect(bench.trace.filter((step) => step.includes("id-1"))).toEqual([
      "store RETRY id-1",
      "settle ack id-1",
      "store SUCCESS id-1",
      "settle ack id-1",
    ]);
  });

  test("a stamp may bear the name of a field: the retries are counted all the same, and all stamps go on", async () => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true, maxRetries: 2 }, (task: Running) => task.retry({ countdown: 0 }));
    const stamps = {
      retries: 0,
      origin: "mars",
      replaced_task_nesting: 7,
      stamped_headers: 1,
      unlisted: "u",
    };
    const stamped_headers = ["retries", "origin", "replaced_task_nesting"];
    await bench.pushTask({ retries: 0, origin: "gen1@home", stamped_headers, stamps });
    bench.work();
    expect((await bench.sees("id-1", "FAILURE"))["result"]).toMatchObject({
      exc_type: "MaxRetriesExceededError",
    });
    // The first one is the test's own.
    expect(sent.map(({ message: { headers } }) => headers["retries"])).toEqual([0, 1, 2]);
    expect(sent[2]?.message.headers).toMatchObject({
      origin: "gen1@home",
      replaced_task_nesting: 0,
      stamped_headers,
      stamps,
    });
  });

  test("of a message without a reply queue, which Celery writes as an empty one, is sent all the same", async () => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => {
      if (task.retries === 0) throw task.retry({ countdown: 0 });
    });
    bench.work();
    await bench.pushTask({}, undefined, { properties: { reply_to: "", correlation_id: "id-1" } });
    await bench.sees("id-1", "SUCCESS");
    expect(sent).toHaveLength(1);
  });

  test.each<[string, object, object]>([
    ["a priority with a fraction", { priority: 2.5 }, { priority: 3 }],
    ["a negative priority", { priority: -1 }, { priority: 0 }],
    ["a priority over 255", { priority: 300 }, { priority: 255 }],
    ["an address over 255 bytes", { reply_to: "ä".repeat(128) }, { reply_to: expect.any(String) }],
  ])("is sent though the message has %s", async (_what, properties, sentOn) => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true, maxRetries: 1 }, (task: Running) => {
      if (task.retries === 0) task.retry({ countdown: 0 });
      return "done";
    });
    await bench.pushTask({}, [[], {}, {}], { properties: { correlation_id: "id-1", ...properties } });
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(sent.map(({ message }) => message.properties)).toMatchObject([sentOn]);
  });

  test("gives children a priority that can be sent, whatever the message has", async () => {
    const { bench, sent } = tapped({ taskInheritParentPriority: true });
    await using _ = bench;
    bench.app.task("t.add", async () => {
      await bench.app.sendTask("t.child");
      return "done";
    });
    bench.work();
    for (const [at, priority] of [2.5, 300].entries()) {
      const id = `id-${at}`;
      await bench.pushTask({ id }, [[], {}, {}], { properties: { correlation_id: id, priority } });
      await bench.sees(id, "SUCCESS");
    }
    const children = sent.filter(({ message }) => message.headers["task"] === "t.child");
    expect(children.map(({ message }) => message.properties["priority"])).toEqual([3, 255]);
  });

  test("stores RETRY as Celery does, and tells it in Celery's words", async () => {
    const { bench } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => {
      throw task.retry({ countdown: 100, error: new RangeError("again") });
    });
    await bench.pushTask({});
    bench.work();
    expect(await bench.sees("id-1", "RETRY")).toEqual({
      status: "RETRY",
      result: { exc_type: "RangeError", exc_message: ["again"], exc_module: "celeriac" },
      traceback: expect.stringContaining("Retry in 100s: RangeError('again')"),
      children: [[["id-1", null], null]],
      date_done: null,
      task_id: "id-1",
    });
    const line = await bench.says(/ retry: /);
    expect(line).toMatchObject({
      level: "info",
      message: "Task t.add[id-1] retry: Retry in 100s: RangeError('again')",
    });
  });

  test("without a word of its own waits for defaultRetryDelay and has no result meanwhile", async () => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => task.retry());
    await bench.pushTask({});
    bench.work();
    expect(await bench.sees("id-1", "RETRY")).toMatchObject({ result: null });
    await bench.says(/retry: Retry in 180s$/);
    const eta = Date.parse(String(sent[0]?.message.headers["eta"]));
    expect(eta - Date.now()).toBeGreaterThan(170_000);
    expect(eta - Date.now()).toBeLessThanOrEqual(180_000);
    // As Celery writes it: the next run's parent is this one.
    expect(sent[0]?.message.headers).toMatchObject({ parent_id: "id-1", root_id: "id-1" });
  });

  test("ends with the error given, or with Celery's sentence, where the retries are used up", async () => {
    await using bench = setup();
    bench.app.task("t.add", { bind: true, maxRetries: 2 }, (task: Running) => task.retry({ countdown: 0 }));
    bench.app.task(
      "t.given",
      { bind: true, maxRetries: null },
      (task: Running) => task.retry({ countdown: 0, maxRetries: 1, error: new Busy("too busy") }),
    );
    await bench.pushTask({}, [[1, "a"], {}, {}]);
    await bench.pushTask({ task: "t.given", id: "id-2" });
    bench.work();
    expect((await bench.sees("id-2", "FAILURE"))["result"]).toMatchObject({ exc_type: "Busy" });
    expect((await bench.sees("id-1", "FAILURE"))["result"]).toEqual({
      exc_type: "MaxRetriesExceededError",
      exc_message: ["Can't retry t.add[id-1] args:(1, 'a') kwargs:{}"],
      exc_module: "celery.exceptions",
    });
  });

  test("takes other arguments, another queue, and a Retry that is thrown by hand", async () => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running, x: number) => {
      if (task.retries > 0) return x;
      throw new Retry({ args: [5], kwargs: {}, countdown: 0, queue: "celery", priority: 3 });
    });
    await bench.pushTask({}, [[1], {}, {}]);
    bench.work();
    expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({ result: 5 });
    expect(sent[0]?.message.headers).toMatchObject({ argsrepr: "[5]".replace("[5]", "(5,)"), retries: 1 });
    expect(sent[0]?.message.properties).toMatchObject({ priority: 3 });
  });

  test("goes out also where the Retry is swallowed or only returned, as in Celery", async () => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => {
      if (task.retries > 0) return "second";
      const retry = task.retry({ countdown: 100, throw: false });
      expect(retry).toBeInstanceOf(Retry);
      return "first";
    });
    await bench.pushTask({});
    bench.work();
    expect(await bench.sees("id-1", "SUCCESS")).toMatchObject({ result: "first" });
    expect(sent.map(({ message }) => message.headers["retries"])).toEqual([1]);
  });

  test.each([
    ["an unknown option", { delay: 3 }, "option-unknown"],
    ["a countdown that is none", { countdown: Number.NaN }, "duration-invalid"],
    ["an eta that is none", { eta: "tomorrow" }, "option-invalid"],
    ["an eta beyond Python's years", { eta: new Date(8.64e15) }, "option-invalid"],
    ["an empty queue", { queue: "" }, "option-invalid"],
    ["arguments without a JSON form", { args: [() => 1] }, "json-unencodable"],
  ])("fails the task, and sends nothing, for %s", async (_what, options, code) => {
    const { bench, sent } = tapped();
    await using _ = bench;
    bench.app.task("t.add", { bind: true, acksLate: true }, (task: Running) => task.retry(options as object));
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "FAILURE");
    const line = await bench.says(/raised unexpected/);
    expect((line.fields["error"] as { code?: string }).code).toContain(code);
    expect(sent).toEqual([]);
    expect(bench.trace.at(-1)).toBe("settle ack id-1");
  });

  test("is refused once the run is over", async () => {
    await using bench = setup();
    let late: Running | undefined;
    bench.app.task("t.add", { bind: true }, (task: Running) => void (late = task));
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(() => late?.retry()).toThrow(/its run is over/);
  });
});

describe("a retry that cannot be sent", () => {
  test("late ack: the message goes back to its queue, and the run is repeated", async () => {
    const { bench, sent } = tapped({}, (_outgoing, count) => count === 1 ? REFUSED : undefined);
    await using _ = bench;
    const runs: number[] = [];
    bench.app.task("t.add", { bind: true, acksLate: true }, (task: Running) => {
      runs.push(task.retries);
      if (task.retries === 0) task.retry({ countdown: 0 });
      return "done";
    });
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(runs).toEqual([0, 0, 1]);
    expect(sent.length).toBe(2);
    expect((await bench.says(/could not send its retry/)).fields["code"]).toBe("retry-unsent");
    expect(bench.trace.filter((step) => step.startsWith("settle"))).toEqual([
      "settle requeue id-1",
      "settle ack id-1",
      "settle ack id-1",
    ]);
  });

  test("late ack: it goes back also where the broker will not keep it for a while", async () => {
    const { bench } = tapped({ keeps: false }, (_outgoing, count) => count === 1 ? REFUSED : undefined);
    await using _ = bench;
    bench.app.task("t.add", { bind: true, acksLate: true }, (task: Running) => {
      if (task.retries === 0) task.retry({ countdown: 0 });
      return "done";
    });
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(bench.trace.filter((step) => step === "settle requeue id-1").length).toBe(2);
    expect(bench.lines.filter(({ fields }) => fields["code"] === "settlement-stale")).toEqual([]);
  });

  test("early ack: it is sent again until the broker has it", async () => {
    const { bench, sent } = tapped({}, (_outgoing, count) => count === 1 ? REFUSED : undefined);
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => {
      if (task.retries === 0) task.retry({ countdown: 0 });
      return "done";
    });
    await bench.pushTask({});
    bench.work();
    await bench.sees("id-1", "SUCCESS");
    expect(sent.length).toBe(2);
  });

  test.each([false, true])(
    "that no repeat will change is a failure at once (acksLate: %s)",
    async (acksLate) => {
      const ways = [{ exchange: "nope", routingKey: "typo" }, { exchange: "celery", routingKey: "typo" }];
      for (const [at, way] of ways.entries()) {
        const { bench } = tapped();
        await using _ = bench;
        let runs = 0;
        bench.app.task("t.add", { bind: true, acksLate }, (task: Running) => {
          runs++;
          return task.retry({ countdown: 0, ...way });
        });
        await bench.broker.declare([{
          kind: "exchange",
          name: "celery",
          type: "direct",
          durable: true,
          autoDelete: false,
        }]);
        await bench.pushTask({});
        bench.work();
        const code = ["publish-refused", "publish-unroutable"][at];
        expect(await bench.sees("id-1", "FAILURE")).toMatchObject({ result: { exc_type: "PublishError" } });
        const line = await bench.says(/raised unexpected/);
        expect((line.fields["error"] as { code?: string }).code).toBe(code);
        await until(() => bench.unsettled.size === 0, { what: "its ack" });
        expect([runs, bench.trace.filter((step) => step.startsWith("settle"))]).toEqual([1, [
          "settle ack id-1",
        ]]);
      }
    },
  );

  test("early ack: holds up no other task, however many insist, and shows in the worker's health", async () => {
    const { bench } = tapped({}, () => REFUSED);
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => task.retry({ countdown: 0 }));
    bench.app.task("t.quick", () => "quick");
    for (let i = 0; i < 12; i++) await bench.pushTask({ id: `bad-${i}` });
    await bench.pushTask({ id: "quick", task: "t.quick" });
    const { worker } = bench.work({ concurrency: 2, prefetchMultiplier: 2 });
    await bench.sees("quick", "SUCCESS");
    const { state, reasons } = worker.health();
    expect([state, reasons.map(({ code }) => code)]).toEqual(["consuming", ["retry-unsent"]]);
    await worker.stop();
    expect(worker.health().reasons).toEqual([]);
  });

  test("late ack: goes back later each time, and its runs are no starts that came to no end", async () => {
    const { bench } = tapped({}, () => REFUSED);
    await using _ = bench;
    bench.app.task("t.add", { bind: true, acksLate: true }, (task: Running) => task.retry({ countdown: 0 }));
    await bench.pushTask({});
    // Handed out before.
    const consumer = bench.broker.consume(["celery"], { prefetch: 1 });
    for await (const delivery of consumer) {
      await delivery.settle({ as: "requeue" });
      break;
    }
    await consumer.stop();
    bench.trace.length = 0;
    const { worker } = bench.work();
    await until(() => bench.trace.includes("settle requeue id-1"), { what: "it goes back" });
    await worker.stop();
    expect(await bench.backend.facts?.get("starts:id-1:0")).toBe("0");

    const unsent = new Unsent();
    const request = (id: string): Request => ({ message: { id, retries: 0 } }) as unknown as Request;
    expect([1, 2, 3, 4, 5, 6, 7].map(() => unsent.pause(request("a")) / 1000)).toEqual([
      1,
      2,
      4,
      8,
      16,
      30,
      30,
    ]);
    expect(unsent.pause(request("b"))).toBe(1000);
    unsent.forget(request("a"));
    expect(unsent.pause(request("a"))).toBe(1000);
  });

  test("early ack: what the worker's stop cuts short is a failure that says so, and its chain learns of it", async () => {
    const { bench } = tapped({}, () => REFUSED);
    await using _ = bench;
    bench.app.task("t.add", { bind: true }, (task: Running) => task.retry({ countdown: 0 }));
    await bench.pushTask({}, [[], {}, { callbacks: null, errbacks: null, chain: [LINK], chord: null }]);
    const { worker } = bench.work();
    await bench.says(/could not send its retry/);
    await worker.stop();
    const record = JSON.parse(await bench.stored("id-1") ?? "{}");
    expect(record).toMatchObject({
      status: "FAILURE",
      result: { exc_type: "RetryPublishError", exc_module: "celeriac" },
    });
    expect(JSON.parse(await bench.stored("link-1") ?? "{}")).toMatchObject({ status: "FAILURE" });
    expect(bench.unsettled.size).toBe(0);
  });
});

describe("autoretryFor", () => {
  test("retries by class and by name, not what is excepted, and logs expected errors as such", async () => {
    await using bench = setup();
    const options = { bind: true, maxRetries: 1, retryKwargs: { countdown: 0 } } as const;
    class Worse extends Busy {}
    bench.app.task("t.class", { ...options, autoretryFor: [Busy], throws: ["Busy"] }, () => {
      throw new Busy("b");
    });
    bench.app.task("t.name", { ...options, autoretryFor: ["Busy"] }, () => Promise.reject(new Busy("b")));
    bench.app.task("t.not", { ...options, autoretryFor: [Error], dontAutoretryFor: [Worse] }, () => {
      throw new Worse("w");
    });
    for (const id of ["class", "name", "not"]) await bench.pushTask({ task: `t.${id}`, id });
    bench.work();
    for (const id of ["class", "name", "not"]) await bench.sees(id, "FAILURE");
    await bench.says(/raised expected/);
    const retriesOf = (id: string): number =>
      bench.lines.filter(({ message }) => message.startsWith(`Task t.${id}[${id}] retry`)).length;
    expect(["class", "name", "not"].map(retriesOf)).toEqual([1, 1, 0]);
    expect(await bench.says(/t\.class\[class\] raised/)).toMatchObject({
      level: "info",
      message: "Task t.class[class] raised expected: Busy('b')",
    });
  });

  test("waits as the backoff says, in virtual time, and shows in the harness", async () => {
    const app = new Celery("shop", { broker: memoryBroker() });
    const flaky = app.task("t.flaky", {
      bind: true,
      autoretryFor: [Busy],
      maxRetries: 5,
      retryBackoff: 2,
      retryBackoffMax: 10,
      retryJitter: false,
    }, (task: Running) => {
      if (task.retries < 4) throw new Busy("b");
      return task.retries;
    });
    await using harness = await createHarness(app);
    const call = await flaky.delay();
    await harness.drain({ withScheduled: true });
    const { attempts, result, state, timeline } = await harness.outcome(call);
    expect([state, result]).toEqual(["SUCCESS", 4]);
    expect(attempts.map(({ ended }) => ended)).toEqual(["retry", "retry", "retry", "retry", "success"]);
    const starts = attempts.map(({ startedAt }) => startedAt.getTime());
    expect(starts.slice(1).map((at, index) => Math.round((at - (starts[index] ?? 0)) / 1000))).toEqual([
      2,
      4,
      8,
      10,
    ]);
    const states = timeline.flatMap((seen) => seen.is === "stored" ? [seen.status] : []);
    expect(states).toEqual(["RETRY", "RETRY", "RETRY", "RETRY", "SUCCESS"]);
    harness.check();
  });

  test("the interval is min(max, factor · 2^retries), and jitter stays within it", () => {
    const rules = {
      autoretryFor: [Error],
      dontAutoretryFor: [],
      retryKwargs: {},
      retryJitter: true,
    };
    fc.assert(fc.property(
      fc.integer({ min: 1, max: 1e7 }),
      fc.integer({ min: 0, max: 2000 }),
      fc.integer({ min: 0, max: 1e9 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (factor, retries, most, chance) => {
        const interval = backoff(factor, retries, most);
        expect(interval).toBe(Math.min(most, factor * Math.pow(2, retries)));
        const given = { ...rules, retryBackoff: factor, retryBackoffMax: most } as unknown as TaskRules;
        const { countdown } = autoretry(given, new Error("e"), retries, () => chance) ?? {};
        const wait = Number(String(countdown).replace("ms", ""));
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(interval);
      },
    ));
  });
});

describe("options of a task that make no sense", () => {
  test.each([
    [{ autoretryFor: Error }, "option-invalid"],
    [{ throws: [3] }, "option-invalid"],
    [{ maxRetries: -1 }, "option-invalid"],
    [{ maxDeliveries: 0 }, "option-invalid"],
    [{ retryBackoff: "fast" }, "duration-invalid"],
    [{ retryKwargs: { cuntdown: 3 } }, "option-unknown"],
    [{ acksOnFailure: "no" }, "option-invalid"],
  ])("%j is refused", (options, code) => {
    const app = new Celery("shop", { broker: memoryBroker() });
    expect(() => app.task("t.bad", options as object, () => 1)).toThrow(expect.objectContaining({ code }));
  });
});
