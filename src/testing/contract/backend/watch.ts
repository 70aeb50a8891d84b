/**
 * Contract: waiting for results.
 *
 * @module
 */
import { type BackendSuite, HOUR, record } from "./archive.ts";

export function watchTests({ subject, check, test }: BackendSuite): void {
  test("what is stored already is yielded first", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "SUCCESS", 1);
    const seen = await archive.reader(backend.watch([id])).next();
    check.equal(seen, record(id, "SUCCESS", 1), "the first record");
  });

  test("what is stored later is yielded then", async (archive) => {
    const [backend, writer] = [await archive.backend(), await archive.backend()];
    const id = archive.id();
    const reader = archive.reader(backend.watch([id]));
    await reader.quiet("before anything is stored");
    await archive.store(writer, id, "SUCCESS", 2);
    check.equal(await reader.next(), record(id, "SUCCESS", 2), "the first record");
  });

  test("states come in the order stored, the final one always, and all of them where the watch is told", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    const words = ["STARTED", "PROGRESS", "RETRY", "SUCCESS"];
    const reader = archive.reader(backend.watch([id]));
    await archive.store(backend, id, "STARTED");
    // The first one shows that the watch listens.
    const seen = [(await reader.next()).status];
    for (const word of words.slice(1)) await archive.store(backend, id, word);
    while (seen.at(-1) !== "SUCCESS") seen.push((await reader.next()).status);
    const inOrder = [...seen].sort((a, b) => words.indexOf(a) - words.indexOf(b));
    check.equal(seen, inOrder, "the states");
    // The first one may have been both read and announced.
    if (subject.features.push) check.equal([...new Set(seen)], words, "the states, each once");
  });

  test("watching several ids yields the final one of each", async (archive) => {
    const backend = await archive.backend();
    const ids = archive.ids(20);
    for (const id of ids.slice(0, 5)) await archive.store(backend, id, "SUCCESS");
    const reader = archive.reader(backend.watch(ids));
    const done = new Set([(await reader.next()).taskId]);
    await Promise.all(ids.slice(5).map((id) => archive.store(backend, id, "SUCCESS")));
    while (done.size < ids.length) done.add((await reader.next()).taskId);
    check.equal([...done].sort(), [...ids].sort(), "the ids yielded");
  });

  test("the final one is not missed, whenever it comes between listening and reading", async (archive) => {
    const [backend, writer] = [await archive.backend(), await archive.backend()];
    // A watch that polls costs requests of its own.
    const ids = archive.ids(subject.features.push ? 100 : 40);
    const write = async (id: string, index: number): Promise<void> => {
      // A different number of turns for each, so that the write falls into each step of the watch.
      for (let turn = 0; turn < index % 10; turn++) await Promise.resolve();
      await writer.store(record(id, "SUCCESS", index), { ttl: HOUR });
    };
    const seen = ids.map(async (id, index) => {
      const [end] = await Promise.all([archive.final(backend.watch([id])), write(id, index)]);
      return end.taskId;
    });
    check.equal(await Promise.all(seen), ids, "the ids whose end was seen");
  });

  test("two watchers of one id see the same end", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    const watch = () => archive.final(backend.watch([id]));
    const [one, other] = await Promise.all([watch(), watch(), archive.store(backend, id, "SUCCESS", "same")]);
    const end = record(id, "SUCCESS", "same");
    check.equal([one, other], [end, end], "what both saw");
  });

  test("an aborted signal ends the watch with its reason", async (archive) => {
    const backend = await archive.backend();
    const stopper = new AbortController();
    const { signal } = stopper;
    const reader = archive.reader(backend.watch([archive.id()], { signal }));
    const waiting = check.rejects(() => reader.next(), "a watch that is aborted");
    const reason = new Error("no longer wanted");
    stopper.abort(reason);
    check.same(await waiting, reason, "its error");
    const late = archive.reader(backend.watch([archive.id()], { signal }));
    const error = await check.rejects(() => late.next(), "a watch that was aborted before");
    check.same(error, reason, "its error");
  });

  test("a deadline ends the watch with a coded error", async (archive) => {
    const backend = await archive.backend();
    const reader = archive.reader(backend.watch([archive.id()], { deadline: archive.now + 100 }));
    const started = archive.elapsed;
    const error = await check.rejects(() => reader.next(), "a watch with a deadline of 100 ms");
    check.has(error, { name: "TimeoutError" }, "its error");
    await check.coded(() => Promise.reject(error), "a watch with a deadline of 100 ms");
    check.between(archive.elapsed - started, 50, archive.patience, "ms until it ended");
  });

  test("closing the backend ends its watches with a coded error", async (archive) => {
    const backend = await archive.backend();
    const reader = archive.reader(backend.watch([archive.id()]));
    const waiting = check.coded(() => reader.next(), "a watch of a backend that is closed");
    await backend.close();
    await waiting;
  });

  test("leaving the loop ends the watch, and another one may follow", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "STARTED");
    for await (const seen of backend.watch([id])) {
      check.equal(seen.status, "STARTED", "the first state");
      break;
    }
    await archive.store(backend, id, "SUCCESS");
    check.equal((await archive.final(backend.watch([id]))).status, "SUCCESS", "the end");
  });

  test("a watch goes on after the final one, until it is left", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "SUCCESS");
    const reader = archive.reader(backend.watch([id]));
    await reader.next();
    // What was read and announced may come a second time.
    const again = await reader.soon(100);
    check.equal(again?.status ?? "SUCCESS", "SUCCESS", "what comes after the end");
    await reader.quiet("after the final one");
  });

  test("a watch of no ids gives nothing, and ends by its abort", async (archive) => {
    const backend = await archive.backend();
    const stopper = new AbortController();
    const reader = archive.reader(backend.watch([], { signal: stopper.signal }));
    await reader.quiet("without ids");
    const reason = new Error("no longer wanted");
    stopper.abort(reason);
    check.same(
      await check.rejects(() => reader.next(), "a watch of no ids that is aborted"),
      reason,
      "its error",
    );
  });

  test("a backend that was closed watches again", async (archive) => {
    const [backend, writer] = [await archive.backend(), await archive.backend()];
    const id = archive.id();
    await archive.store(backend, id, "STARTED");
    const before = archive.reader(backend.watch([id]));
    await before.next();
    const ended = check.coded(() => before.next(), "a watch of a backend that is closed");
    await backend.close();
    await ended;
    const after = archive.reader(backend.watch([id]));
    check.equal((await after.next()).status, "STARTED", "the state read");
    const [end] = await Promise.all([after.next(), archive.store(writer, id, "SUCCESS")]);
    check.equal(end.status, "SUCCESS", "the state announced");
  });
}
