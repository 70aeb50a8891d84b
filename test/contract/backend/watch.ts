/**
 * Contract: waiting for results.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { ResultRecord } from "../../../src/backend.ts";
import type { BackendSubject } from "../backend.ts";
import { attempt, Inbox } from "../bench.ts";
import { record } from "./store.ts";

const HOUR = 3_600_000;

export function exerciseWatch(subject: BackendSubject): void {
  const patience = subject.patience ?? 10_000;

  /** Reads until the first record of state SUCCESS. */
  async function final(source: AsyncIterable<ResultRecord>): Promise<ResultRecord> {
    const inbox = new Inbox(source, patience);
    for (;;) {
      const seen = await inbox.next();
      if (seen.status === "SUCCESS") return seen;
    }
  }

  test("what is stored already is yielded first", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    await backend.store(record(id, "SUCCESS", 1), { ttl: HOUR });
    const seen = await new Inbox(backend.watch([id]), patience).next();
    expect(seen).toEqual(record(id, "SUCCESS", 1));
    await backend.forget([id]);
    await backend.close();
  });

  test("what is stored later is yielded then", async () => {
    const [backend, writer] = [await subject.make(), await subject.make()];
    const id = crypto.randomUUID();
    const inbox = new Inbox(backend.watch([id]), patience);
    expect(await inbox.quiet()).toBe(true);
    await writer.store(record(id, "SUCCESS", 2), { ttl: HOUR });
    expect(await inbox.next()).toEqual(record(id, "SUCCESS", 2));
    await backend.forget([id]);
    await backend.close();
    await writer.close();
  });

  test("states come in the order stored, the final one always, and all of them where the watch is told", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    const words = ["STARTED", "PROGRESS", "RETRY", "SUCCESS"];
    const inbox = new Inbox(backend.watch([id]), patience);
    await backend.store(record(id, "STARTED"), { ttl: HOUR });
    // The first one shows that the watch listens.
    const seen = [(await inbox.next()).status];
    for (const word of words.slice(1)) await backend.store(record(id, word), { ttl: HOUR });
    while (seen.at(-1) !== "SUCCESS") seen.push((await inbox.next()).status);
    const places = seen.map((word) => words.indexOf(word));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    // The first one may have been both read and announced.
    if (subject.features.push) expect([...new Set(seen)]).toEqual(words);
    await backend.forget([id]);
    await backend.close();
  });

  test("watching several ids yields the final one of each", async () => {
    const backend = await subject.make();
    const ids = Array.from({ length: 20 }, () => crypto.randomUUID());
    const early = ids.slice(0, 5);
    for (const id of early) await backend.store(record(id, "SUCCESS"), { ttl: HOUR });
    const inbox = new Inbox(backend.watch(ids), patience);
    const done = new Set([(await inbox.next()).taskId]);
    await Promise.all(ids.slice(5).map((id) => backend.store(record(id, "SUCCESS"), { ttl: HOUR })));
    while (done.size < ids.length) done.add((await inbox.next()).taskId);
    expect(done).toEqual(new Set(ids));
    await backend.forget(ids);
    await backend.close();
  });

  test("the final one is not missed, whenever it comes between listening and reading", async () => {
    const [backend, writer] = [await subject.make(), await subject.make()];
    const ids = Array.from({ length: 100 }, () => crypto.randomUUID());
    const seen = ids.map(async (id, index) => {
      const waiting = final(backend.watch([id]));
      // A different number of turns for each, so that the write falls into each step of the watch.
      for (let turn = 0; turn < index % 10; turn++) await Promise.resolve();
      await writer.store(record(id, "SUCCESS", index), { ttl: HOUR });
      return (await waiting).taskId;
    });
    expect(await Promise.all(seen)).toEqual(ids);
    await backend.forget(ids);
    await backend.close();
    await writer.close();
  });

  test("two watchers of one id see the same end", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    const both = [final(backend.watch([id])), final(backend.watch([id]))];
    await backend.store(record(id, "SUCCESS", "same"), { ttl: HOUR });
    expect(await Promise.all(both)).toEqual([record(id, "SUCCESS", "same"), record(id, "SUCCESS", "same")]);
    await backend.forget([id]);
    await backend.close();
  });

  test("an aborted signal ends the watch with its reason", async () => {
    const backend = await subject.make();
    const stopper = new AbortController();
    const inbox = new Inbox(backend.watch([crypto.randomUUID()], { signal: stopper.signal }), patience);
    const waiting = attempt(() => inbox.next());
    const reason = new Error("no longer wanted");
    stopper.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    const late = new Inbox(backend.watch([crypto.randomUUID()], { signal: stopper.signal }), patience);
    await expect(attempt(() => late.next())).rejects.toBe(reason);
    await backend.close();
  });

  test("a deadline ends the watch with a coded error", async () => {
    const backend = await subject.make();
    const inbox = new Inbox(backend.watch([crypto.randomUUID()], { deadline: Date.now() + 100 }), patience);
    await expect(attempt(() => inbox.next())).rejects.toMatchObject({
      name: "TimeoutError",
      code: expect.stringMatching(/^[a-z-]+$/),
    });
    await backend.close();
  });

  test("closing the backend ends its watches with a coded error", async () => {
    const backend = await subject.make();
    const inbox = new Inbox(backend.watch([crypto.randomUUID()]), patience);
    const waiting = expect(attempt(() => inbox.next())).rejects.toMatchObject({
      code: expect.stringMatching(/^[a-z-]+$/),
    });
    await backend.close();
    await waiting;
  });

  test("leaving the loop ends the watch, and another one may follow", async () => {
    const backend = await subject.make();
    const id = crypto.randomUUID();
    await backend.store(record(id, "STARTED"), { ttl: HOUR });
    for await (const seen of backend.watch([id])) {
      expect(seen.status).toBe("STARTED");
      break;
    }
    await backend.store(record(id, "SUCCESS"), { ttl: HOUR });
    expect((await final(backend.watch([id]))).status).toBe("SUCCESS");
    await backend.forget([id]);
    await backend.close();
  });
}
