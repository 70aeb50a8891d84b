import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Platform } from "../../../mod.ts";
import { memoryBackend, memoryBroker } from "../../../adapters/memory/mod.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import { createHarness, type Harness } from "../../../src/testing/mod.ts";
import { shop } from "./setup.ts";

const code = (name: string): unknown => expect.objectContaining({ code: name });
/** As code does that the async context of no test reaches. */
const outside = <R>(work: () => R): R => systemPlatform.context.run(undefined, work);
const args = (harness: Harness): unknown[] => harness.enqueued().map((task) => task.args[0]);

/** Whether a value can be entered for the rest of a test: workerd cannot. */
const enters = outside(() =>
  systemPlatform.context.run(undefined, () => systemPlatform.context.enter?.(undefined))
);

describe("who sends", () => {
  test("is the harness whose app it is, or in whose run it happens, also with several of one app", async () => {
    const { app, mail } = shop();
    await using one = await createHarness(app);
    await using two = await createHarness(app, { seed: 2 });
    await one.app.sendTask("shop.mail", { args: ["one"], queue: "mails" });
    await outside(() => two.run(() => mail.delay("two")));
    await outside(() =>
      one.run(async () => {
        await Promise.resolve();
        await mail.delay("one again");
        await two.run(() => mail.delay("two again"));
        await mail.s("one last").applyAsync();
      })
    );
    expect([args(one), args(two)]).toEqual([["one", "one again", "one last"], ["two", "two again"]]);
  });

  test("is the harness of the test's own context, tests side by side", async () => {
    if (enters !== true) return;
    const { app, mail } = shop();
    const scenario = async (name: string): Promise<unknown[]> => {
      await using harness = await createHarness(app, { seed: name.length });
      await Promise.resolve();
      await mail.delay(`${name} 1`);
      const result = await mail.applyAsync([`${name} 2`], { countdown: "1h" });
      await harness.advance("1h");
      expect(await result.get()).toBe(`sent to ${name} 2`);
      expect(await app.result(result.id).get()).toBe(`sent to ${name} 2`);
      return args(harness);
    };
    const names = ["a", "bb", "ccc"];
    expect(await Promise.all(names.map(scenario))).toEqual(names.map((name) => [`${name} 1`, `${name} 2`]));
  });

  test("is the only harness that lives where the context names none, and none once it is over", async () => {
    const { app, mail } = shop({ broker: memoryBroker(), backend: memoryBackend() });
    {
      await using harness = await createHarness(app);
      await outside(() => mail.delay("x"));
      expect(args(harness)).toEqual(["x"]);
    }
    await outside(() => mail.delay("y"));
    await mail.delay("z");
    await app.close();
  });

  test("is nobody where several live and nothing says which: an error, not a mixture", async () => {
    const { app, mail } = shop();
    await using one = await createHarness(app);
    await using two = await createHarness(app);
    await expect(outside(() => mail.delay("whose"))).rejects.toEqual(code("harness-ambiguous"));
    expect(() => outside(() => app.result("x"))).toThrow(
      expect.objectContaining({ code: "harness-ambiguous" }),
    );
    expect([args(one), args(two)]).toEqual([[], []]);
  });

  test("is not another test's harness for one whose own is over", async () => {
    const { app, mail } = shop();
    const one = await createHarness(app);
    const late = (): Promise<unknown> => mail.delay("late");
    const two = await outside(() => createHarness(app));
    // The first test's own context, which outlives its harness.
    const inFirst = await one.run(() => systemPlatform.context.current());
    await one[Symbol.asyncDispose]();
    await expect(systemPlatform.context.run(inFirst, late)).rejects.toEqual(code("harness-ambiguous"));
    await two[Symbol.asyncDispose]();
    const three = await createHarness(app);
    // A runner that hands the old context on to the next test.
    await systemPlatform.context.run(inFirst, late);
    expect(args(three)).toEqual(["late"]);
    await three[Symbol.asyncDispose]();
  });

  test("in a task is its worker, and the sent task is its child", async () => {
    const { app, order } = shop();
    await using harness = await createHarness(app);
    const result = await order.delay("a@b.c");
    const id = await result.get();
    const [child] = harness.enqueued("shop.mail");
    expect(child).toMatchObject({ id, parentId: result.id, rootId: result.id, by: "worker-1" });
    expect((await result.children())?.map((each) => each.id)).toEqual([id]);
  });

  test("two harnesses see neither each other's queues nor results", async () => {
    const { app, mail } = shop();
    await using one = await createHarness(app, { workers: 0 });
    await using two = await createHarness(app, { workers: 1 });
    const result = await one.run(() => mail.delay("x"));
    await two.drain();
    expect(await two.app.result(result.id).state()).toBe("PENDING");
    expect(await one.drain()).toMatchObject({ ran: 1 });
    expect(await one.app.result(result.id).state()).toBe("SUCCESS");
  });

  test("two apps have a harness each", async () => {
    const [books, toys] = [shop({ broker: memoryBroker() }), shop({ broker: memoryBroker() })];
    await using one = await createHarness(books.app);
    await using two = await createHarness(toys.app);
    await books.mail.delay("book");
    await toys.mail.delay("toy");
    expect([args(one), args(two)]).toEqual([["book"], ["toy"]]);
  });
});

describe("a harness that a hook makes", () => {
  const { app, mail } = shop();
  let harness: Harness;
  beforeEach(async () => {
    await Promise.resolve();
    harness = await createHarness(app);
  });
  afterEach(() => harness[Symbol.asyncDispose]());

  test.each(["first", "second"])("serves the test: %s", async (name) => {
    const result = await mail.delay(name);
    expect(await result.get()).toBe(`sent to ${name}`);
    expect(args(harness)).toEqual([name]);
  });
});

describe("without an async context", () => {
  const platform: Platform = {
    ...systemPlatform,
    context: { available: false, run: (_value, work) => work(), current: () => undefined },
  };

  test("one harness serves its app, plain and within run", async () => {
    const { app, mail, order } = shop({ platform });
    await using harness = await createHarness(app);
    expect(await (await mail.delay("x")).get()).toBe("sent to x");
    const result = await harness.run(() => mail.applyAsync(["y"], { countdown: "1h" }));
    expect(await harness.run(() => result.get())).toBe("sent to y");
    await harness.run(async () => (await order.delay("z")).get());
    expect(args(harness)).toEqual(["x", "y", "z", "z"]);
    expect(harness.now).toEqual(new Date("2026-01-01T01:00:00Z"));
  });

  test("a second one is refused until the first is over", async () => {
    const { app } = shop({ platform });
    const first = await createHarness(app);
    await expect(createHarness(app)).rejects.toEqual(code("harness-second"));
    await first[Symbol.asyncDispose]();
    await using second = await createHarness(app);
    expect(second.enqueued()).toEqual([]);
  });
});
