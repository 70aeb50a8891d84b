/** Acceptance tests on a Redis of their own, by processes that die. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redisBackend, redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../mod.ts";
import { bundleWorker } from "../support/bundle-worker.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bareClient } from "../redis/setup.ts";

let server: PrivateServer;
const folder = mkdtempSync(join(tmpdir(), "celeriac-poison-"));

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** One life of a process of workers; `record` is what it wrote. */
interface Life {
  readonly child: ChildProcess;
  /** "SIGKILL", or an exit code. */
  readonly end: Promise<string>;
}

test(
  "A19: a task that kills its worker at each start is put beside its queue after three, its neighbours are not counted with it",
  async () => {
    const queue = "poison";
    const script = await bundleWorker(new URL("./poison-worker.ts", import.meta.url), folder);
    const file = join(folder, "record.log");
    const record = (): string => readFileSync(file, "utf8");
    const log = openSync(file, "a");
    const live = (): Life => {
      const child = spawn(process.execPath, [script, server.url, queue], {
        stdio: ["pipe", "inherit", "inherit", log],
      });
      const end = new Promise<string>((resolve) =>
        child.once("exit", (code, signal) => resolve(signal ?? `exit ${code}`))
      );
      return { child, end };
    };
    await using redis = bareClient(server.url);
    await using app = new Celery("feed", {
      broker: redisBroker(server.url),
      backend: redisBackend(server.url),
      taskDefaultQueue: queue,
    });
    const victim = await app.sendTask("t.kill", { args: [7] });
    // They are in hand, two of them running, whenever their worker dies.
    const neighbours = await Promise.all(
      Array.from({ length: 4 }, () => app.sendTask("t.wait", { args: [1000] })),
    );
    for (let life = 1; life <= 3; life++) expect(await live().end).toBe("SIGKILL");
    const last = live();
    try {
      await expect(app.result(victim.id).get({ timeout: 40 })).rejects.toMatchObject({
        excType: "DeliveryLimitExceeded",
      });
      for (const { id } of neighbours) expect(await app.result(id).get({ timeout: 40 })).toBe(1000);
      const runs = (id: string): number => record().split(`run ${id}`).length - 1;
      const ends = (id: string): number => record().split(`ran ${id}`).length - 1;
      expect(runs(victim.id)).toBe(3);
      // The first start is not counted, it comes unflagged; then those that came again.
      expect(await redis.get(`celeriac:fact:starts:${victim.id}:0`)).toBe("2");
      for (const { id } of neighbours) {
        const counted = Number(await redis.get(`celeriac:fact:starts:${id}:0`) ?? 0);
        // Its own, which came to an end, and one beside the victim's second: from the third on whatever came again runs alone.
        expect(counted - ends(id)).toBeLessThanOrEqual(1);
      }
      const [copy] = await redis.lrange(`${queue}.dead`, 0, -1);
      expect(JSON.parse(copy ?? "{}")).toMatchObject({
        headers: {
          id: victim.id,
          "celeriac-dead-reason": "delivery-limit",
          "celeriac-dead-queue": queue,
          "celeriac-dead-count": 3,
        },
      });
      expect(await redis.llen(`${queue}.dead`)).toBe(1);
      await until(async () => await redis.hlen("unacked") === 0, { what: "nothing in hand" });
      expect(await redis.llen(queue)).toBe(0);
      console.log(`neighbours ran ${neighbours.map(({ id }) => runs(id)).join(", ")} times`);
    } finally {
      last.child.kill("SIGTERM");
      expect(await last.end).toBe("exit 0");
      closeSync(log);
    }
  },
  120_000,
);
