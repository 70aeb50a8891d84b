/** What a publish costs that opens its own connection; the figures are printed for docs/edge.md. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EdgeServers, startEdgeServers } from "../support/edge/bench.ts";
import { WAYS } from "../support/edge/functions.ts";
import { deleteRabbit, deleteRedis } from "../support/edge/queues.ts";
import { isolate } from "./isolate.ts";

const RUNS = 50;
const WARM = 10;
const queue = `workerd-${crypto.randomUUID()}`;

let servers: EdgeServers;

beforeAll(async () => {
  servers = await startEdgeServers();
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await Promise.all([deleteRabbit(queue), deleteRedis(queue)]);
});

const at = (sorted: readonly number[], share: number): string =>
  (sorted[Math.floor((sorted.length - 1) * share)] ?? NaN).toFixed(1);

test.each(WAYS)("50 publishes, one request each: $name", async ({ name, code }) => {
  await using worker = await isolate(code(servers.given(queue)));
  const asked = async (path: string): Promise<number[]> => {
    const times: number[] = [];
    for (let run = 0; run < WARM + RUNS; run++) {
      const begin = performance.now();
      const { error } = await worker.ask(path);
      if (run >= WARM) times.push(performance.now() - begin);
      expect(error).toBeUndefined();
    }
    return times.sort((one, other) => one - other);
  };
  const [nothing, publish] = [await asked("/nothing"), await asked("/send/1")];
  console.log(
    `${name}: a request that publishes takes ${at(publish, 0.5)} ms (median), ${
      at(publish, 0.95)
    } ms (p95); ` +
      `one that does nothing ${at(nothing, 0.5)} and ${at(nothing, 0.95)} ms`,
  );
}, 60_000);
