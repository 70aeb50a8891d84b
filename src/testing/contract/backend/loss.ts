/**
 * Contract: what happens to stores, loads and watches when the network goes, or when there is no store at all.
 *
 * @module
 */
import type { Backend } from "../../../backend.ts";
import type { LinkFaults } from "../subject.ts";
import { type BackendSuite, HOUR, record } from "./archive.ts";

/** Longest wait of a call, ms. */
const SHORT = 200;

/** The tests of a network that can be disturbed. */
export function lossTests({ check, test }: BackendSuite, link: LinkFaults): void {
  test("it stores and reads again after a cut", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "STARTED");
    await link.cut();
    await archive.until(async () => (await backend.store(record(id, "RETRY"), { ttl: HOUR })) === "stored", {
      what: "a store after the cut",
    });
    check.equal(await archive.state(backend, id), "RETRY", "the state");
  });

  test("the final one is not missed though the link is cut while it is watched for", async (archive) => {
    const [backend, writer] = [await archive.backend(), await archive.backend()];
    const id = archive.id();
    await archive.store(backend, id, "STARTED");
    const reader = archive.reader(backend.watch([id]));
    await reader.next();
    await link.cut();
    const end = (async (): Promise<string> => {
      for (;;) {
        const { status } = await reader.next();
        if (status === "SUCCESS") return status;
      }
    })();
    const write = archive.until(
      async () => (await writer.store(record(id, "SUCCESS"), { ttl: HOUR })) !== undefined,
      { what: "a store after the cut" },
    );
    const [status] = await Promise.all([end, write]);
    check.equal(status, "SUCCESS", "the state");
  });

  test("on a frozen network store and load reject by their deadline with a code, by their abort with the reason", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "STARTED");
    await link.freeze();
    const calls = [
      (call: object) => backend.store(record(id, "RETRY"), { ttl: HOUR, ...call }),
      (call: object) => backend.load([id], call),
    ];
    for (const call of calls) {
      const started = archive.elapsed;
      await check.coded(() => call({ deadline: archive.now + SHORT }), "at the deadline");
      check.between(archive.elapsed - started, SHORT / 2, 3000, `ms until a deadline of ${SHORT}`);
      const reason = new Error("no longer wanted");
      const stopper = new AbortController();
      const aborted = check.rejects(() => call({ signal: stopper.signal }), "at the abort");
      stopper.abort(reason);
      check.same(await aborted, reason, "its error");
    }
  });

  test("on a frozen network a watch ends by its deadline, and the backend closes", async (archive) => {
    const backend = await archive.backend();
    const id = archive.id();
    await archive.store(backend, id, "STARTED");
    await link.freeze();
    const reader = archive.reader(backend.watch([id], { deadline: archive.now + SHORT }));
    await check.coded(() => reader.next(), "a watch at its deadline");
    await backend.close();
  });
}

/** The tests of a backend without a store. */
export function reachTests({ check, test }: BackendSuite, unreachable: () => Backend): void {
  test("storing and loading reject with a code, by their deadline", async (archive) => {
    const backend = unreachable();
    const started = archive.elapsed;
    const call = (): object => ({ deadline: archive.now + SHORT });
    await check.coded(() => backend.store(record("id", "SUCCESS"), { ttl: HOUR, ...call() }), "storing");
    await check.coded(() => backend.load(["id"], call()), "loading");
    check.between(archive.elapsed - started, 0, archive.patience, "ms for both");
    await backend.close();
  });

  test("a watch rejects with a code, by its deadline", async (archive) => {
    const backend = unreachable();
    const started = archive.elapsed;
    const reader = archive.reader(backend.watch(["id"], { deadline: archive.now + SHORT }));
    await check.coded(() => reader.next(), "the watch");
    check.between(archive.elapsed - started, 0, 3000, `ms until a deadline of ${SHORT}`);
    await backend.close();
  });
}
