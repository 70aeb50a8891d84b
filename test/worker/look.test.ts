/** A message whose link is lost while it is looked at, or opened, does not begin: it comes again. */
import { expect, test } from "vitest";
import type { Broker, Delivery } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { compress } from "../../src/protocol/compression.ts";
import { until } from "../support/wait.ts";
import { Successes } from "../../src/worker/known.ts";
import type { Request } from "../../src/worker/request.ts";
import { intercept, setup } from "./setup.ts";

/** The first delivery comes as a second one, and can be lost. */
function losable(): {
  readonly wrapBroker: (broker: Broker) => Broker;
  lose: () => void;
  readonly settled: string[];
} {
  const settled: string[] = [];
  const listeners = new Set<() => void>();
  let gone = false;
  const wrap = (delivery: Delivery): Delivery =>
    intercept(delivery, {
      redelivered: true,
      settle(how) {
        settled.push(gone ? "stale" : how.as);
        return gone ? Promise.resolve("stale") : delivery.settle(how);
      },
      onLost(listener) {
        listeners.add(listener);
        return { [Symbol.dispose]: () => void listeners.delete(listener) };
      },
    });
  return {
    settled,
    lose() {
      gone = true;
      for (const listener of listeners) listener();
    },
    wrapBroker: (broker) =>
      intercept(broker, {
        consume(queues, options) {
          const consumer = broker.consume(queues, options);
          let isFirst = true;
          return intercept(consumer, {
            async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
              for await (const delivery of consumer) {
                yield isFirst ? wrap(delivery) : delivery;
                isFirst = false;
              }
            },
          });
        },
      }),
  };
}

test("one that is looked at in the backend meanwhile", async () => {
  const { lose, settled, wrapBroker } = losable();
  const gate = deferred<string | undefined>();
  let asked = false;
  await using bench = setup({
    wrapBroker,
    workerCheckRevoked: "never",
    wrapBackend: (backend) =>
      intercept(backend, {
        facts: intercept(backend.facts as NonNullable<typeof backend.facts>, {
          get(key) {
            if (!key.startsWith("starts:")) return Promise.resolve(undefined);
            asked = true;
            return gate.promise;
          },
        }),
      }),
  });
  const ran: number[] = [];
  bench.app.task("t.add", { acksLate: true }, (n: number) => void ran.push(n));
  await bench.pushTask({ id: "lost" }, [[1], {}, {}]);
  bench.work({ concurrency: 1 });
  await until(() => asked, { what: "the question" });
  lose();
  gate.resolve(undefined);
  await bench.pushTask({ id: "next" }, [[2], {}, {}]);
  await bench.sees("next", "SUCCESS");
  expect(ran).toEqual([2]);
  expect(await bench.stored("lost")).toBe(undefined);
  expect(settled).toEqual(["stale"]);
});

test("one that is compressed, and is opened meanwhile", async () => {
  const { lose, settled, wrapBroker } = losable();
  await using bench = setup({ wrapBroker, workerCheckRevoked: "never" });
  const ran: number[] = [];
  bench.app.task("t.add", { acksLate: true }, (n: number) => void ran.push(n));
  const Real = globalThis.DecompressionStream;
  // The link goes as soon as anybody opens anything.
  globalThis.DecompressionStream = function (format: CompressionFormat) {
    lose();
    return new Real(format);
  } as unknown as typeof DecompressionStream;
  using _real = { [Symbol.dispose]: () => void (globalThis.DecompressionStream = Real) };
  await bench.push({
    headers: { task: "t.add", id: "lost", compression: "application/x-gzip" },
    body: await compress(new TextEncoder().encode('[[1, ""], {}, {}]')),
  });
  bench.work({ concurrency: 1 });
  await until(() => settled.length === 1, { what: "the end of it" });
  await bench.pushTask({ id: "next" }, [[2], {}, {}]);
  await bench.sees("next", "SUCCESS");
  expect(ran).toEqual([2]);
  expect(settled).toEqual(["stale"]);
});

test("of successes as much is remembered as fits into a bound of bytes, the latest of them", async () => {
  const env = {
    backend: undefined,
    app: {},
    settings: { workerDeduplicateSuccessfulTasks: "always" },
    now: () => 0,
  };
  const successes = new Successes(env as never);
  const request = (id: string, value: unknown, weight?: number): Request =>
    ({
      acksLate: true,
      children: [],
      delivery: { redelivered: true },
      message: { id },
      outcome: { is: "success", value },
      weight,
    }) as unknown as Request;
  const known = async (...ids: string[]): Promise<boolean[]> =>
    await Promise.all(ids.map(async (id) => await successes.of(request(id, 0)) !== undefined));
  const MiB = 2 ** 20;
  for (const id of ["a", "b", "c"]) successes.add(request(id, id, 10 * MiB));
  expect(await known("a", "b", "c")).toEqual([true, true, true]);
  // It takes its own place again.
  successes.add(request("c", "c", 12 * MiB));
  expect(await known("a", "b", "c")).toEqual([true, true, true]);
  // Not stored, it is weighed.
  successes.add(request("d", "x".repeat(3 * MiB)));
  expect(await known("a", "b", "c", "d")).toEqual([false, true, true, true]);
  successes.add(request("whole", "w", 33 * MiB));
  successes.add(request("formless", () => 1));
  expect(await known("whole", "formless", "b", "c", "d")).toEqual([false, true, true, true, true]);
  for (let at = 0; at < 1000; at++) successes.add(request(`small ${at}`, at, 1));
  expect(await known("d", "small 0", "small 999")).toEqual([false, true, true]);
});
