import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Backend, Facts } from "../../src/backend.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { Running } from "../../src/app/running.ts";
import { until } from "../support/wait.ts";
import { intercept, setup } from "./setup.ts";

const FAR = "9999-12-31T23:59:59+00:00";

/** What Celery 5.6.2 stores: [on the command, when the message comes], [on the command, when the process is dead]. */
const REVOKED = { exc_type: "TaskRevokedError", exc_message: ["revoked"], exc_module: "celery.exceptions" };
const TERMINATED = { ...REVOKED, exc_message: ["terminated"] };

/** A task that runs until it is told to end, and then does as its argument says. */
function waiting(then: (task: Running) => unknown) {
  return async (task: Running): Promise<unknown> => {
    if (!task.signal.aborted) {
      await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
    }
    return then(task);
  };
}

describe("a worker that is told that a task is revoked", () => {
  test("does not run it when it comes; the documents are Celery's", async () => {
    await using bench = setup();
    let runs = 0;
    bench.app.task("t.add", () => void runs++);
    const { worker } = bench.work();
    await bench.says(/ready\.$/);
    expect(await worker.revoke(["id-1", "id-2", "id-1"])).toEqual([]);
    await bench.says(/^Tasks flagged as revoked: id-1, id-2$/);
    expect(await bench.sees("id-1", "REVOKED")).toEqual({
      status: "REVOKED",
      result: REVOKED,
      traceback: null,
      children: null,
      date_done: expect.stringMatching(/^\d{4}-.*\+00:00$/),
      task_id: "id-1",
    });
    await bench.pushTask({});
    await bench.pushTask({ id: "id-2" });
    await bench.pushTask({ id: "id-3" });
    await bench.sees("id-3", "SUCCESS");
    await bench.says(/^Discarding revoked task: t\.add\[id-1\]$/);
    expect(await bench.sees("id-1", "REVOKED")).toMatchObject({ result: REVOKED, children: [] });
    expect(bench.trace).toContain("settle ack id-2");
    expect([runs, worker.snapshot().revoked]).toEqual([1, ["id-1", "id-2"]]);
    await expect(bench.app.result("id-2").get()).rejects.toMatchObject({ code: "task-revoked" });
  });

  test("discards at once what waits for a slot or for its ETA", async () => {
    await using bench = setup({ workerParkAfter: "9999999d" });
    const gate = deferred<void>();
    bench.app.task("t.add", () => gate.promise);
    for (const id of ["runs", "waits"]) await bench.pushTask({ id });
    await bench.pushTask({ id: "held", eta: FAR });
    const { worker } = bench.work({ concurrency: 1 });
    await until(() => worker.snapshot().reserved.length === 2, { what: "two wait" });
    await worker.revoke(["waits", "held", "runs"]);
    expect(worker.snapshot().reserved).toEqual([]);
    await until(() => bench.unsettled.size === 0, { what: "all settled" });
    for (const id of ["waits", "held"]) expect(bench.trace).toContain(`settle ack ${id}`);
    // What runs goes on where nobody terminates it, and its end is what counts.
    expect(await bench.sees("runs", "REVOKED")).toMatchObject({ children: null });
    gate.resolve();
    await bench.sees("runs", "SUCCESS");
  });

  test("terminates what runs: its signal says why, and what it throws is REVOKED, with Celery's document", async () => {
    for (const acksLate of [false, true]) {
      await using bench = setup();
      let reason: unknown;
      bench.app.task(
        "t.add",
        { bind: true, acksLate },
        waiting((task) => {
          reason = task.signal.reason;
          throw new Error("whatever it says of it");
        }),
      );
      await bench.pushTask({});
      const { worker } = bench.work();
      await until(() => worker.snapshot().active.length === 1, { what: "it runs" });
      expect(await worker.revoke("id-1", { terminate: true, signal: "KILL" })).toEqual(["id-1"]);
      await bench.says(/^Terminating id-1 \(Signals\.SIGKILL\)$/);
      expect(reason).toMatchObject({ name: "TaskRevokedError", code: "task-revoked" });
      await until(() => bench.unsettled.size === 0 && worker.snapshot().concluding.length === 0, {
        what: "its end",
      });
      expect(bench.trace.filter((each) => each !== "settle ack id-1")).toEqual([
        "store REVOKED id-1",
        "store REVOKED id-1",
      ]);
      expect(await bench.sees("id-1", "REVOKED")).toMatchObject({ result: TERMINATED, children: [] });
      expect(bench.lines.filter((line) => line.level === "error")).toEqual([]);
    }
  });

  test("and returns all the same is a success; only what was named is terminated", async () => {
    await using bench = setup();
    bench.app.task("t.add", { bind: true }, waiting(() => "done"));
    await bench.pushTask({});
    await bench.pushTask({ id: "id-2" });
    const { worker } = bench.work();
    await until(() => worker.snapshot().active.length === 2, { what: "both run" });
    await worker.revoke("id-1");
    expect(await worker.revoke(["id-2", "nobody"], { terminate: true })).toEqual(["id-2"]);
    expect(await bench.sees("id-2", "SUCCESS")).toMatchObject({ result: "done" });
    expect(worker.snapshot().active.map(({ id }) => id)).toEqual(["id-1"]);
    // SUCCESS is never overwritten.
    await worker.revoke("id-2");
    expect(await bench.stored("id-2")).toContain("SUCCESS");
    await worker.revoke("id-1", { terminate: true });
  });

  test("by stamped headers: any of the values, whether the message has one or several", async () => {
    await using bench = setup();
    let runs = 0;
    bench.app.task("t.add", { bind: true }, waiting(() => void runs++));
    const stamped = (id: string, value: unknown) =>
      bench.pushTask({ id, stamped_headers: ["tenant"], stamps: { tenant: value, other: "acme" } });
    const { worker } = bench.work();
    await bench.says(/ready\.$/);
    await stamped("runs", ["acme", "x"]);
    await until(() => worker.snapshot().active.length === 1, { what: "it runs" });
    const headers = { tenant: ["emca", "acme"] };
    expect(await worker.revokeByStampedHeaders(headers, { terminate: true })).toEqual(["runs"]);
    await stamped("one", "emca");
    await stamped("several", ["x", "acme"]);
    await stamped("other", "y");
    for (const id of ["one", "several"]) await bench.sees(id, "REVOKED");
    await bench.says(/^Discarding revoked task: t\.add\[one\] \(revoked by header: .*tenant.*emca/);
    await until(() => worker.snapshot().active.some(({ id }) => id === "other"), { what: "the other runs" });
    await worker.revoke("other", { terminate: true });
  });

  test("tells of a backend in trouble, and refuses the task all the same", async () => {
    await using bench = setup({
      wrapBackend: (backend) => intercept(backend, { load: () => Promise.reject(new Error("down")) }),
    });
    bench.app.task("t.add", () => 1);
    const { worker } = bench.work();
    await worker.revoke("id-1");
    expect(await bench.says(/Couldn't keep in the backend/)).toMatchObject({
      fields: { code: "revoke-unkept" },
    });
    await bench.pushTask({});
    await bench.says(/Discarding revoked task/);
  });

  test("takes ids and names of options that are some", async () => {
    await using bench = setup();
    const { worker } = bench.work();
    const codes = [
      worker.revoke(""),
      worker.revoke([1] as never),
      worker.revokeByStampedHeaders([] as never),
      worker.revoke("id", { terminat: true } as never),
      bench.app.revoke(undefined as never),
    ].map((promise) => promise.catch((error: { code: string }) => error.code));
    expect(await Promise.all(codes)).toEqual([
      ...Array.from({ length: 3 }, () => "option-invalid"),
      "option-unknown",
      "option-invalid",
    ]);
  });
});

describe("a revoke that is kept in the backend", () => {
  test("is asked for before a task with an ETA runs, by a worker that never heard of it (A22)", async () => {
    await using bench = setup();
    let runs = 0;
    bench.app.task("t.add", () => void runs++);
    const eta = new Date(Date.now() + 300).toISOString();
    await bench.pushTask({ eta });
    await bench.pushTask({ id: "id-2", eta });
    const first = bench.work();
    await until(() => first.worker.snapshot().reserved.length === 2, { what: "both are held" });
    await first.worker.revoke("id-1");
    await first.worker.stop();
    const second = bench.work();
    // Its message is acked by the first worker already; this one is told by nobody.
    await bench.app.revoke("id-2");
    expect(await bench.sees("id-2", "REVOKED")).toMatchObject({ result: REVOKED, children: null });
    await until(() => bench.trace.includes("settle ack id-2"), { what: "it is discarded" });
    expect(second.worker.snapshot().revoked).toEqual([]);
    expect(runs).toBe(0);
  });

  test("is asked for before a retry that is due at once", async () => {
    await using bench = setup();
    let runs = 0;
    const task = bench.app.task("t.again", { bind: true, maxRetries: null }, async (self: Running) => {
      runs++;
      await bench.app.revoke(self.id);
      throw self.retry({ countdown: 0 });
    });
    bench.work();
    const { id } = await task.delay();
    expect(await bench.sees(id, "REVOKED")).toBeTruthy();
    await until(() => bench.lines.some(({ message }) => /^Discarding revoked task/.test(message)), {
      what: "the retry is discarded",
    });
    expect(runs).toBe(1);
  });

  test("is asked for where a message comes again, and before each where the setting says so", async () => {
    for (const workerCheckRevoked of ["returned", "always", "never"] as const) {
      let asked = 0;
      await using bench = setup({
        workerCheckRevoked,
        wrapBackend: (backend) =>
          intercept(backend, {
            facts: intercept(facts(backend), { get: (key) => (asked++, facts(backend).get(key)) }),
          }),
      });
      const gate = deferred<void>();
      const ran: string[] = [];
      bench.app.task("t.add", async (id: string) => {
        ran.push(id);
        await gate.promise;
      });
      await bench.pushTask({ id: "blocks" }, [["blocks"], {}, {}]);
      await bench.pushTask({ id: "again" }, [["again"], {}, {}]);
      const first = bench.work({ concurrency: 1 });
      await until(() => first.worker.snapshot().reserved.length === 1, { what: "one is in hand" });
      const stopped = first.worker.stop();
      await until(() => first.worker.snapshot().reserved.length === 0, { what: "it went back" });
      gate.resolve();
      await stopped;
      asked = 0;
      await bench.app.revoke(["again", "plain"]);
      await bench.pushTask({ id: "plain" }, [["plain"], {}, {}]);
      await bench.pushTask({ id: "last" }, [["last"], {}, {}]);
      bench.work({ concurrency: 1 });
      await bench.sees("last", "SUCCESS");
      await until(() => bench.unsettled.size === 0, { what: "all settled" });
      const expected = { returned: ["plain", "last"], always: ["last"], never: ["again", "plain", "last"] };
      expect(ran.slice(1), workerCheckRevoked).toEqual(expected[workerCheckRevoked]);
      expect(asked).toBe({ returned: 1, always: 3, never: 0 }[workerCheckRevoked]);
    }
  });

  test("by stamps, too; and a backend that does not say is told of: the task runs", async () => {
    let down = false;
    await using bench = setup({
      workerCheckRevoked: "always",
      wrapBackend: (backend) =>
        intercept(backend, {
          facts: intercept(facts(backend), {
            get: (key) => down ? Promise.reject(new Error("down")) : facts(backend).get(key),
          }),
        }),
    });
    bench.app.task("t.add", () => 1);
    bench.work();
    await bench.app.revokeByStampedHeaders({ tenant: [1, "acme"] });
    const stamps = { stamped_headers: ["tenant"], stamps: { tenant: 1 } };
    await bench.pushTask({ ...stamps });
    await bench.sees("id-1", "REVOKED");
    down = true;
    await bench.pushTask({ id: "id-2", ...stamps });
    await bench.sees("id-2", "SUCCESS");
    expect(await bench.says(/Couldn't ask whether task id-2 is revoked/)).toMatchObject({
      fields: { code: "revoke-unchecked" },
    });
  });

  test("by a result; a final state stays, and a backend without facts says that it cannot", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => {
      throw new Error("failed");
    });
    await bench.pushTask({});
    const { worker } = bench.work();
    await bench.sees("id-1", "FAILURE");
    await bench.app.result("id-1").revoke();
    expect(await bench.stored("id-1")).toContain("FAILURE");
    await bench.app.result("id-2").revoke();
    await bench.sees("id-2", "REVOKED");
    await worker.stop();
    await using other = setup({ wrapBackend: withoutFacts });
    await expect(other.app.revoke("id")).rejects.toMatchObject({ code: "revoke-unsupported" });
    const alone = other.work();
    await alone.worker.revoke("id-1");
    await other.sees("id-1", "REVOKED");
  });

  test("what Celery 5.6.2 writes is what is compared here", () => {
    const vectors = JSON.parse(
      readFileSync(new URL("../vectors/worker.celery-5.6.2.json", import.meta.url), "utf8"),
    ) as { results: Record<string, { published: { data: string }[] }> };
    const documents = (name: string) =>
      vectors.results[name]?.published.map(({ data }) => JSON.parse(data) as Record<string, unknown>)
        .map(({ result, children }) => ({ result, children }));
    expect(documents("revoked")).toEqual([{ result: REVOKED, children: null }, {
      result: REVOKED,
      children: [],
    }]);
    expect(documents("revoked_terminated")).toEqual([
      { result: REVOKED, children: null },
      { result: TERMINATED, children: [] },
    ]);
  });
});

function withoutFacts(backend: Backend): Backend {
  return {
    transport: "rpc",
    address: "rpc://",
    features: backend.features,
    store: (...given) => backend.store(...given),
    load: (...given) => backend.load(...given),
    watch: (...given) => backend.watch(...given),
    forget: (...given) => backend.forget(...given),
    close: () => backend.close(),
  };
}

function facts(backend: Backend): Facts {
  if (backend.facts === undefined) throw new Error("the memory backend keeps facts");
  return backend.facts;
}
