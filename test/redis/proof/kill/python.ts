/**
 * The same with a real Celery worker, for comparison: what it loses is counted, and is no failure of ours.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { redisBroker } from "../../../../adapters/redis/tcp.ts";
import { Celery } from "../../../../mod.ts";
import { type CeleryWorker, startCeleryWorker } from "../../../support/celery-worker.ts";
import { startRedis } from "../../../support/servers.ts";
import { pause } from "../../../support/wait.ts";
import { bareClient } from "../../setup.ts";

/** What is run. */
export interface PythonKillOptions {
  /** Tasks at most; fewer where the kills are done before. */
  readonly late: number;
  readonly kills: number;
  /** No kill comes after this instant of `performance.now()`. */
  readonly until?: number;
}

/** What came of it. */
export interface PythonKillReport {
  /** Tasks that were published. */
  readonly late: number;
  readonly kills: number;
  /** Tasks that ran. */
  readonly ran: number;
  /** Tasks that are nowhere, and never ran to their end. */
  readonly lost: number;
  /** Runs beyond the first. */
  readonly repeated: number;
  /** Tasks that lie in Redis still, and are no loss. */
  readonly left: number;
  /** s */
  readonly seconds: number;
}

const QUEUE = "kill";

/** See the module. */
export async function pythonKillRun(
  { kills, late, until = Infinity }: PythonKillOptions,
): Promise<PythonKillReport> {
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "celeriac-kill-python-"));
  const record = join(folder, "record.log");
  await using server = await startRedis();
  await using redis = bareClient(server.url);
  await using app = new Celery("feed", { broker: redisBroker(server.url), taskDefaultQueue: QUEUE });
  const ids = new Set<string>();
  const inRedis = async (): Promise<number> => await redis.llen(QUEUE) + await redis.hlen("unacked");
  const start = (): Promise<CeleryWorker> =>
    startCeleryWorker({
      broker: server.url,
      queue: QUEUE,
      module: "kill_tasks",
      conf: { record, broker_transport_options: { visibility_timeout: 3 } },
      timeout: 60_000,
    });
  async function feed(): Promise<void> {
    const waiting = await redis.llen(QUEUE);
    const more = Math.min(500 - waiting, late - ids.size);
    if (more <= 0) return;
    const calls = Array.from({ length: more }, (_, at) => ({ name: "kill.late", args: [at % 4] }));
    for (const outcome of await app.sendMany(calls)) {
      if (outcome.status === "rejected") throw outcome.reason;
      ids.add(outcome.value.id);
    }
  }

  let killed = 0;
  try {
    await feed();
    while (killed < kills && performance.now() < until && (ids.size < late || await inRedis() > 0)) {
      const worker = await start();
      // Any moment of a second: a fixed pattern, which hits another one each time.
      await pause(40 + (killed * 367) % 900);
      await worker.stop("SIGKILL");
      killed++;
      await feed();
    }
    // Each start sweeps; between two of them the visibility timeout goes by.
    for (let turn = 0; turn < 12 && await inRedis() > 0; turn++) {
      await using worker = await start();
      for (let looks = 0, last = -1; looks < 40; looks++) {
        const now = await redis.llen(QUEUE);
        if (await inRedis() === 0 || (now === 0 && last === 0 && looks > 14)) break;
        last = now;
        await pause(250);
      }
      await worker.stop();
    }
    const runs = new Map<string, number>();
    const ran = new Set<string>();
    for (const line of readFileSync(record, "utf8").split("\n")) {
      const [, what = "", id = ""] = line.split(" ");
      if (what === "run") runs.set(id, (runs.get(id) ?? 0) + 1);
      if (what === "ran") ran.add(id);
    }
    const left = await inRedis();
    const missing = [...ids].filter((id) => !ran.has(id)).length;
    return {
      late: ids.size,
      kills: killed,
      ran: ran.size,
      lost: missing - left,
      repeated: [...runs.values()].reduce((sum, count) => sum + count - 1, 0),
      left,
      seconds: Math.round((performance.now() - begun) / 1000),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
