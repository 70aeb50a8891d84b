/**
 * Contract: results are stored, read, overwritten, expired and forgotten.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { ResultRecord } from "../../../src/backend.ts";
import { until } from "../../support/wait.ts";
import type { BackendSubject } from "../backend.ts";
import { attempt } from "../bench.ts";

const HOUR = 3_600_000;

/** A record as Celery writes it. */
export function record(taskId: string, status: string, result: unknown = null): ResultRecord {
  return {
    taskId,
    status,
    text: JSON.stringify({ status, result, traceback: null, children: [], date_done: null, task_id: taskId }),
  };
}

export function exerciseStore(subject: BackendSubject): void {
  test("a backend declares its features, its transport and an address without secrets", async () => {
    const backend = await subject.make();
    expect(backend.features).toEqual(subject.features);
    expect(backend.transport).toMatch(/^[a-z]+$/);
    expect(backend.address).not.toMatch(/:[^/@*]+@/);
    expect(backend.facts !== undefined).toBe(subject.facts);
    await backend.close();
  });

  test("a stored record is read back, character for character", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    const one = record(id, "SUCCESS", { text: "ü€😀", list: [1, 2.5, null] });
    expect(await backend.store(one, { ttl: HOUR })).toBe("stored");
    expect(await backend.load([id])).toEqual([one]);
    await backend.forget([id]);
    await backend.close();
  });

  test("records come in the order of the ids, undefined where nothing is stored", async () => {
    const backend = await subject.make();
    const ids = Array.from({ length: 4 }, () => crypto.randomUUID());
    const [first, missing, third, fourth] = ids as [string, string, string, string];
    for (const id of [fourth, first, third]) await backend.store(record(id, "SUCCESS", id), { ttl: HOUR });
    const loaded = await backend.load([first, missing, third, fourth, first]);
    expect(loaded.map((one) => one?.taskId)).toEqual([first, undefined, third, fourth, first]);
    await backend.forget(ids);
    await backend.close();
  });

  test("nothing is asked for, nothing is read", async () => {
    const backend = await subject.make();
    expect(await backend.load([])).toEqual([]);
    await backend.forget([]);
    await backend.close();
  });

  if (subject.features.shared) {
    test("what one backend object stored, another one reads", async () => {
      const [backend, other] = [await subject.make(), await subject.make()];
      const id = crypto.randomUUID();
      await backend.store(record(id, "SUCCESS", 1), { ttl: HOUR });
      expect((await other.load([id]))[0]?.status).toBe("SUCCESS");
      await other.forget([id]);
      expect(await backend.load([id])).toEqual([undefined]);
      await backend.close();
      await other.close();
    });
  }

  test("states before the final one are overwritten", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    for (const status of ["STARTED", "PROGRESS", "RETRY", "FAILURE", "REVOKED", "SUCCESS"]) {
      expect(await backend.store(record(id, status), { ttl: HOUR })).toBe("stored");
      expect((await backend.load([id]))[0]?.status).toBe(status);
    }
    await backend.forget([id]);
    await backend.close();
  });

  test.each(["SUCCESS", "FAILURE", "STARTED", "RETRY", "PROGRESS"])(
    "%s does not overwrite SUCCESS",
    async (status) => {
      const backend = await subject.make();
      const id = crypto.randomUUID();
      await backend.store(record(id, "SUCCESS", "first"), { ttl: HOUR });
      expect(await backend.store(record(id, status, "second"), { ttl: HOUR })).toBe("kept");
      expect(await backend.load([id])).toEqual([record(id, "SUCCESS", "first")]);
      await backend.forget([id]);
      await backend.close();
    },
  );

  test("of many concurrent writers of SUCCESS one is stored and the others kept", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    const words = await Promise.all(
      Array.from({ length: 30 }, (_, index) => backend.store(record(id, "SUCCESS", index), { ttl: HOUR })),
    );
    expect(words.filter((word) => word === "stored")).toHaveLength(1);
    await backend.forget([id]);
    await backend.close();
  });

  test("a state that only looks like SUCCESS is no SUCCESS", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    await backend.store(record(id, "success", 'the word "status": "SUCCESS" inside'), { ttl: HOUR });
    expect(await backend.store(record(id, "FAILURE"), { ttl: HOUR })).toBe("stored");
    await backend.forget([id]);
    await backend.close();
  });

  test("a record goes when its time to live is over, and may be stored anew", async () => {
    const backend = await subject.make();
    const [short, long] = [crypto.randomUUID(), crypto.randomUUID()];
    const ttl = subject.shortestTtl ?? 1000;
    const started = performance.now();
    await backend.store(record(short, "SUCCESS", 1), { ttl });
    await backend.store(record(long, "SUCCESS", 1), { ttl: undefined });
    expect((await backend.load([short]))[0]?.status).toBe("SUCCESS");
    await until(async () => (await backend.load([short]))[0] === undefined, {
      what: "the end of the record",
      deadline: ttl + (subject.patience ?? 10_000),
      every: Math.min(50, ttl / 4),
    });
    // A timer may fire a millisecond early by the other clock.
    expect(performance.now() - started).toBeGreaterThanOrEqual(ttl - 2);
    expect((await backend.load([long]))[0]?.status).toBe("SUCCESS");
    expect(await backend.store(record(short, "FAILURE"), { ttl })).toBe("stored");
    await backend.forget([short, long]);
    await backend.close();
  });

  test("what was forgotten is gone, also when it never was", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    await backend.store(record(id, "SUCCESS"), { ttl: HOUR });
    await backend.forget([id, crypto.randomUUID()]);
    expect(await backend.load([id])).toEqual([undefined]);
    expect(await backend.store(record(id, "FAILURE"), { ttl: HOUR })).toBe("stored");
    await backend.forget([id]);
    await backend.close();
  });

  test("a call whose signal is aborted already rejects with its reason and stores nothing", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    const reason = new Error("no longer wanted");
    const signal = AbortSignal.abort(reason);
    await expect(attempt(() => backend.store(record(id, "SUCCESS"), { ttl: HOUR, signal }))).rejects.toBe(
      reason,
    );
    await expect(attempt(() => backend.load([id], { signal }))).rejects.toBe(reason);
    expect(await backend.load([id])).toEqual([undefined]);
    await backend.close();
  });

  test("ids are any text", async () => {
    const backend = await subject.make();
    const ids = ["__proto__", "constructor", "a b\nc", "ü€😀"].map((id) => `${id}.${crypto.randomUUID()}`);
    const odd = [...ids, "__proto__"];
    for (const id of odd) await backend.store(record(id, "SUCCESS", id), { ttl: HOUR });
    expect((await backend.load(odd)).map((one) => one?.taskId)).toEqual(odd);
    await backend.forget(odd);
    await backend.close();
  });

  test("close may be called twice, and the backend is usable again after it", async () => {
    const backend = await subject.make();
    await backend.close();
    await backend.close();
    const id = crypto.randomUUID();
    expect(await backend.store(record(id, "SUCCESS"), { ttl: HOUR })).toBe("stored");
    await backend.forget([id]);
    await backend.close();
  });
}
