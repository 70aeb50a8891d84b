import { describe, expect, test } from "vitest";
import type { Message } from "../../src/broker.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup } from "./setup.ts";

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const NONE = { callbacks: null, errbacks: null, chain: null, chord: null };

/** Whatever came before, the worker still runs tasks, and nothing is left with it. */
async function stillWorks(bench: Bench): Promise<void> {
  await bench.pushTask({ id: "after" }, [[20, 22], {}, NONE]);
  expect((await bench.sees("after", "SUCCESS"))["result"]).toBe(42);
  await until(() => bench.unsettled.size === 0, { what: "every delivery settled" });
}

describe("a message that is no runnable task", () => {
  test.each<[what: string, message: Partial<Message>, level: string, line: RegExp, settlement: string]>([
    [
      "of an unregistered task",
      { headers: { task: "t.nobody", id: "bad" }, body: json([[], {}, {}]) },
      "error",
      /^Received unregistered task of type 't\.nobody'\.\nThe message has been ignored and discarded\./,
      "reject",
    ],
    [
      "of an unregistered task in bytes that nobody can read",
      { headers: { task: "t.nobody", id: "bad" }, body: new Uint8Array([255, 0]) },
      "error",
      /^Received unregistered task of type 't\.nobody'/,
      "reject",
    ],
    [
      "in refused content",
      { headers: { task: "t.add", id: "bad" }, contentType: "application/x-python-serialize", body: json(1) },
      "error",
      /^Received invalid task message: Refusing to deserialize untrusted content/,
      "reject",
    ],
    [
      "in JSON with a charset, which is other content",
      {
        headers: { task: "t.add", id: "bad" },
        contentType: "application/json; charset=utf-8",
        body: json([[], {}, {}]),
      },
      "error",
      /^Received invalid task message: Refusing/,
      "reject",
    ],
    [
      "in broken JSON",
      { headers: { task: "t.add", id: "bad" }, body: new TextEncoder().encode("[[1,") },
      "critical",
      /^Can't decode message body: DecodeError\(.*\[type:'application\/json' encoding:'utf-8' headers:/,
      "ack",
    ],
    [
      "in broken UTF-8",
      { headers: { task: "t.add", id: "bad" }, body: new Uint8Array([0x5b, 0xff, 0x5d]) },
      "critical",
      /^Can't decode message body/,
      "ack",
    ],
    [
      "in broken compression",
      { headers: { task: "t.add", id: "bad", compression: "application/x-gzip" }, body: json([[], {}, {}]) },
      "critical",
      /^Can't decode message body/,
      "ack",
    ],
    [
      "without headers and body",
      { headers: {} },
      "critical",
      /^Can't decode message body/,
      "ack",
    ],
    [
      "that is no task",
      { headers: {}, body: json({ hello: "world" }) },
      "warning",
      /^Received and deleted unknown message. {2}Wrong destination\?!\?/,
      "reject",
    ],
    [
      "that is no task but a number",
      { headers: { some: 1 }, body: json(5) },
      "warning",
      /^Received and deleted unknown message/,
      "reject",
    ],
    [
      "without an id, of which a Python worker dies",
      { headers: { task: "t.add" }, body: json([[], {}, {}]) },
      "error",
      /^Received invalid task message: .*\bid\b/,
      "reject",
    ],
    [
      "with two parts in its body, of which a Python worker dies",
      { headers: { task: "t.add", id: "bad" }, body: json([[], {}]) },
      "error",
      /^Received invalid task message/,
      "reject",
    ],
    [
      "with an impossible time limit, of which a Python worker dies",
      { headers: { task: "t.add", id: "bad", timelimit: [5] }, body: json([[], {}, {}]) },
      "error",
      /^Received invalid task message: .*timelimit/,
      "reject",
    ],
    [
      "with an ETA that is no time",
      { headers: { task: "t.add", id: "bad", eta: "tomorrow" }, body: json([[], {}, {}]) },
      "error",
      /^Received invalid task message: .*eta/,
      "reject",
    ],
    [
      "with an ETA that is a number",
      { headers: { task: "t.add", id: "bad", eta: 12 }, body: json([[], {}, {}]) },
      "error",
      /^Received invalid task message/,
      "reject",
    ],
    [
      "with keyword arguments that are a list",
      { headers: { task: "t.add", id: "bad" }, body: json([[], [], {}]) },
      "error",
      /^Received invalid task message: .*kwargs/,
      "reject",
    ],
  ])(
    "%s is told and settled as Celery does, and the worker goes on",
    async (_what, message, level, line, settlement) => {
      await using bench = setup();
      bench.app.task("t.add", (x: number, y: number) => x + y);
      await bench.push(message);
      bench.work();
      expect((await bench.says(line)).level).toBe(level);
      await stillWorks(bench);
      // What is stored stands before it.
      const settled = bench.trace.filter((step) => step.startsWith("settle") && !step.endsWith("after"));
      expect(settled).toEqual([expect.stringMatching(new RegExp(`^settle ${settlement} `))]);
    },
  );

  test("of an unregistered task leaves a failure behind", async () => {
    await using bench = setup();
    await bench.push({ headers: { task: "t.nobody", id: "bad" }, body: json([[], {}, {}]) });
    bench.work();
    const stored = await bench.sees("bad", "FAILURE");
    expect(stored).toEqual({
      status: "FAILURE",
      result: { exc_type: "NotRegistered", exc_message: ["t.nobody"], exc_module: "celery.exceptions" },
      traceback: null,
      children: [],
      date_done: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$/),
      task_id: "bad",
    });
  });

  test.each([
    ["reply-1", "reply-1"],
    ["", undefined],
    ["ä".repeat(128), undefined],
    [{ queue: "x" }, undefined],
  ])(
    "of an unregistered task is answered only where its address %j can be one",
    async (reply_to, replyTo) => {
      const addresses: unknown[] = [];
      await using bench = setup({
        wrapBackend: (backend) =>
          intercept(backend, {
            store: (record, options) => {
              addresses.push(options.replyTo);
              return backend.store(record, options);
            },
          }),
      });
      await bench.push({
        headers: { task: "t.nobody", id: "bad" },
        body: json([[], {}, {}]),
        properties: { reply_to },
      });
      bench.work();
      await bench.sees("bad", "FAILURE");
      expect(addresses).toEqual([replyTo]);
    },
  );

  test.each([
    ["protocol 1", { headers: {}, body: json({ task: "t.nobody", id: "bad", args: [], kwargs: {} }) }],
    ["the hybrid", { headers: { task: "t.nobody", id: "bad" }, body: json({ args: [], kwargs: {} }) }],
  ])("of an unregistered task of %s leaves a failure behind", async (_what, message) => {
    await using bench = setup();
    await bench.push(message);
    bench.work();
    expect((await bench.sees("bad", "FAILURE"))["result"]).toMatchObject({ exc_type: "NotRegistered" });
  });

  test("does not forge log lines or steer the terminal with what is in it", async () => {
    await using bench = setup();
    const evil = "x\n[2026-11-22 06:01:29,345: INFO/MainProcess] Task forged[1] succeeded\u001b[2J";
    bench.app.task("t.add", () => 1);
    bench.app.task(evil, () => 1);
    await bench.push({ headers: { task: `${evil}?`, id: evil }, body: json([[], {}, {}]) });
    await bench.pushTask({ task: evil, id: evil }, [[], {}, NONE]);
    await bench.pushTask({ shadow: evil, id: "id-2" }, [[], {}, NONE]);
    await bench.push({ headers: { task: "t.add", id: evil, eta: evil }, body: json([[], {}, {}]) });
    bench.work();
    await bench.sees("id-2", "SUCCESS");
    await bench.sees(evil, "SUCCESS");
    await bench.says(/invalid task message/);
    for (const { message } of bench.lines) {
      expect(message).not.toContain("\u001b");
      expect(message).not.toMatch(/^\[2026/m);
    }
  });
});

test("a message of protocol 1 and one of the hybrid run", async () => {
  await using bench = setup();
  bench.app.task("t.add", (x: number, y: number) => x + y);
  await bench.push({ headers: {}, body: json({ task: "t.add", id: "one", args: [1, 2] }) });
  await bench.push({ headers: { task: "t.add", id: "two" }, body: json({ args: [2, 2], kwargs: {} }) });
  bench.work();
  expect((await bench.sees("one", "SUCCESS"))["result"]).toBe(3);
  expect((await bench.sees("two", "SUCCESS"))["result"]).toBe(4);
});

test("a compressed message runs", async () => {
  await using bench = setup();
  bench.app.task("t.add", (x: number, y: number) => x + y);
  const result = await bench.app.sendTask("t.add", { args: [1, 2], compression: "gzip" });
  bench.work();
  expect((await bench.sees(result.id, "SUCCESS"))["result"]).toBe(3);
});

describe("a task that has expired", () => {
  test("is acked, stored as revoked, and never run", async () => {
    await using bench = setup();
    let ran = false;
    bench.app.task("t.add", () => void (ran = true));
    await bench.pushTask({ expires: "2020-01-01T00:00:00+00:00" });
    bench.work();
    expect(await bench.sees("id-1", "REVOKED")).toMatchObject({
      result: { exc_type: "TaskRevokedError", exc_message: ["expired"], exc_module: "celery.exceptions" },
      traceback: null,
      children: [],
    });
    await bench.says(/^Discarding revoked task: t\.add\[id-1\]$/);
    await until(() => bench.trace.length === 2, { what: "its ack" });
    expect(bench.trace).toEqual(["store REVOKED id-1", "settle ack id-1"]);
    expect(ran).toBe(false);
  });

  test("while it waited for a slot is not run either", async () => {
    await using bench = setup();
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => open = resolve);
    bench.app.task("t.wait", () => opened);
    let ran = false;
    bench.app.task("t.add", () => void (ran = true));
    await bench.pushTask({ task: "t.wait", id: "first" });
    const expires = Date.now() + 300;
    await bench.pushTask({ expires: new Date(expires).toISOString() });
    const { worker } = bench.work({ concurrency: 1 });
    await until(() => worker.snapshot().reserved.length === 1, { what: "the second in line" });
    await until(() => Date.now() > expires + 5, { what: "its expiry" });
    open();
    await bench.sees("id-1", "REVOKED");
    expect(ran).toBe(false);
  });
});

test("what cannot be followed yet fails before it runs, and says so", async () => {
  await using bench = setup();
  let ran = false;
  bench.app.task("t.add", () => void (ran = true));
  const body = { task: "t.sum", args: [], kwargs: {}, options: {}, subtask_type: null, immutable: false };
  await bench.pushTask({ group: "g" }, [[], {}, { ...NONE, chord: body }]);
  bench.work();
  const stored = await bench.sees("id-1", "FAILURE");
  expect(stored["result"]).toMatchObject({ exc_type: "NotImplementedError", exc_module: "builtins" });
  expect(String((stored["result"] as { exc_message: string[] }).exc_message[0])).toMatch(/not run.*chord/);
  await bench.says(/raised unexpected: NotImplementedError\('The task was not run/);
  expect(ran).toBe(false);
});
