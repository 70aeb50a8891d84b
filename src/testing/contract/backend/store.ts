/**
 * Contract: results are stored, read, overwritten, expired and forgotten.
 *
 * @module
 */
import { pause } from "../../wait.ts";
import { type BackendSuite, HOUR, record } from "./archive.ts";

export function storeTests({ subject, check, test }: BackendSuite): void {
  test("a backend declares its features, its transport and an address without secrets", async (archive) => {
    const backend = await archive.backend();
    check.equal(backend.features, subject.features, "the feature record");
    check.matches(backend.transport, /^[a-z]+$/, "the transport");
    check.ok(!/:[^/@*]+@/.test(backend.address), `a password in the address ${backend.address}`);
    check.equal(backend.facts !== undefined, subject.facts, "whether it keeps facts");
  });

  test("a stored record is read back, character for character", async (archive) => {
    const backend = await archive.backend();
    const one = record(archive.id(), "SUCCESS", { text: "ü€😀", list: [1, 2.5, null] });
    check.equal(await backend.store(one, { ttl: HOUR }), "stored", "the word of a first store");
    check.equal(await backend.load([one.taskId]), [one], "what is read back");
  });

  test("records come in the order of the ids, undefined where nothing is stored", async (archive) => {
    const backend = await archive.backend();
    const [first, missing, third, fourth] = archive.ids(4) as [string, string, string, string];
    for (const id of [fourth, first, third]) await archive.store(backend, id, "SUCCESS", id);
    const loaded = await backend.load([first, missing, third, fourth, first]);
    check.equal(loaded.map((one) => one?.taskId), [first, undefined, third, fourth, first], "the ids read");
  });

  test("nothing is asked for, nothing is read", async (archive) => {
    const backend = await archive.backend();
    check.equal(await backend.load([]), [], "what is read of no ids");
    await backend.forget([]);
  });

  if (subject.features.shared) {
    test("what one backend object stored, another one reads", async (archive) => {
      const [backend, other] = [await archive.backend(), await archive.backend()];
      const id = archive.id();
      await archive.store(backend, id, "SUCCESS", 1);
      check.equal(await archive.state(other, id), "SUCCESS", "the state that the other one reads");
      await other.forget([id]);
      check.equal(await backend.load([id]), [undefined], "what is left after the other one forgot it");
    });
  }

  test("states before the final one are overwritten", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    for (const status of ["STARTED", "PROGRESS", "RETRY", "FAILURE", "REVOKED", "SUCCESS"]) {
      await archive.store(backend, id, status);
      check.equal(await archive.state(backend, id), status, "the state");
    }
  });

  for (const status of ["SUCCESS", "FAILURE", "STARTED", "RETRY", "PROGRESS"]) {
    test(`${status} does not overwrite SUCCESS`, async (archive) => {
      const backend = await archive.backend();
      const id = archive.id();
      await archive.store(backend, id, "SUCCESS", "first");
      const word = await backend.store(record(id, status, "second"), { ttl: HOUR });
      check.equal(word, "kept", "the word of the second store");
      check.equal(await backend.load([id]), [record(id, "SUCCESS", "first")], "what is stored");
    });
  }

  test("of many concurrent writers of SUCCESS one is stored and the others kept", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    const words = await Promise.all(
      Array.from({ length: 30 }, (_, index) => backend.store(record(id, "SUCCESS", index), { ttl: HOUR })),
    );
    check.equal(words.filter((word) => word === "stored").length, 1, "how many were stored");
    check.equal(words.filter((word) => word === "kept").length, 29, "how many were kept");
  });

  test("a state that only looks like SUCCESS is no SUCCESS", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "success", 'the word "status": "SUCCESS" inside');
    await archive.store(backend, id, "FAILURE");
  });

  test("a record goes when its time to live is over, and may be stored anew", async (archive) => {
    const backend = await archive.backend();
    const [short, long] = [archive.id(), archive.id()];
    const { ttl } = archive;
    const started = archive.elapsed;
    await backend.store(record(short, "SUCCESS", 1), { ttl });
    await backend.store(record(long, "SUCCESS", 1), { ttl: undefined });
    const early = await archive.state(backend, short);
    // An answer that comes later says nothing.
    if (archive.elapsed - started < ttl) check.equal(early, "SUCCESS", "the state before the time is over");
    await archive.expiry(async () => (await backend.load([short]))[0] === undefined, {
      what: "the end of the record",
    });
    // A timer may fire a millisecond early by the other clock.
    const lived = archive.elapsed - started;
    check.ok(lived >= ttl - 2, `expected the record to live for ${ttl} ms, got ${lived}`);
    check.equal(await archive.state(backend, long), "SUCCESS", "the state of a record without an end");
    check.equal(
      await backend.store(record(short, "FAILURE"), { ttl }),
      "stored",
      "the word of a store after it",
    );
  });

  test("what was forgotten is gone, also when it never was", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "SUCCESS");
    await backend.forget([id, archive.id()]);
    check.equal(await backend.load([id]), [undefined], "what is left");
    await archive.store(backend, id, "FAILURE");
  });

  test("a call whose signal is aborted already rejects with its reason and stores nothing", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    const reason = new Error("no longer wanted");
    const signal = AbortSignal.abort(reason);
    const storing = (): unknown => backend.store(record(id, "SUCCESS"), { ttl: HOUR, signal });
    check.same(await check.rejects(storing, "an aborted store"), reason, "its error");
    const loading = (): unknown => backend.load([id], { signal });
    check.same(await check.rejects(loading, "an aborted load"), reason, "its error");
    check.equal(await backend.load([id]), [undefined], "what is stored");
  });

  test("a call whose deadline is over already rejects with a code and stores nothing", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    const deadline = archive.now - 1;
    const storing = (): unknown => backend.store(record(id, "SUCCESS"), { ttl: HOUR, deadline });
    await check.coded(storing, "a store after its deadline");
    await check.coded(() => backend.load([id], { deadline }), "a load after its deadline");
    check.equal(await backend.load([id]), [undefined], "what is stored");
  });

  test("SUCCESS stays, whatever is stored beside it at once", async (archive) => {
    const [backend, other] = [await archive.backend(), await archive.backend()];
    for (const id of archive.ids(20)) {
      const words = await Promise.all([
        other.store(record(id, "RETRY"), { ttl: HOUR }),
        backend.store(record(id, "SUCCESS"), { ttl: HOUR }),
        other.store(record(id, "FAILURE"), { ttl: HOUR }),
      ]);
      check.equal(words[1], "stored", "the word for SUCCESS");
      check.equal(
        await archive.state(backend, id),
        "SUCCESS",
        `the state after the words ${words.join(", ")}`,
      );
    }
  });

  test("storing anew begins the time to live anew", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await backend.store(record(id, "STARTED"), { ttl: archive.ttl });
    await archive.store(backend, id, "RETRY");
    await pause(archive.ttl + 50);
    check.equal(await archive.state(backend, id), "RETRY", "the state when the first time is over");
  });

  test("a record of a million characters is read back", async (archive) => {
    const backend = await archive.backend();
    const large = record(archive.id(), "SUCCESS", "ü".repeat(1_000_000));
    check.equal(await backend.store(large, { ttl: HOUR }), "stored", "the word");
    const [read] = await backend.load([large.taskId]);
    check.ok(read?.text === large.text, `expected ${large.text.length} characters, got ${read?.text.length}`);
  });

  test("hundreds of ids are read in one call", async (archive) => {
    const backend = await archive.backend();
    const ids = archive.ids(500);
    await Promise.all(ids.filter((_, at) => at % 2 === 0).map((id) => archive.store(backend, id, "SUCCESS")));
    const loaded = await backend.load(ids);
    const wanted = ids.map((id, at) => at % 2 === 0 ? id : undefined);
    check.equal(loaded.map((one) => one?.taskId), wanted, "the ids read, every other one");
  });

  test("ids are any text", async (archive) => {
    const backend = await archive.backend();
    const odd = ["__proto__.", "constructor.", "a b\nc.", "ü€😀."].map((begin) => archive.id(begin));
    const ids = [...odd, "__proto__"];
    for (const id of ids) await archive.store(backend, id, "SUCCESS", id);
    check.equal((await backend.load(ids)).map((one) => one?.taskId), ids, "the ids read");
    await backend.forget(["__proto__"]);
  });

  test("close may be called twice, and the backend is usable again after it", async (archive) => {
    const backend = await archive.backend();
    await backend.close();
    await backend.close();
    await archive.store(backend, archive.id(), "SUCCESS");
  });
}
