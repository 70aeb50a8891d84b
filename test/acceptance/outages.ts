/**
 * What becomes of retries, results and revokes while a broker or a backend is away: tests on a RabbitMQ that others use in turn.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import type { Celery, Running } from "../../mod.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { addUser, changePassword, closeConnectionsOf, countsOf } from "../support/rabbit.ts";
import { type RabbitServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { type Bench, bench } from "./bench.ts";

/** Whether nothing of its queue is left at the broker, held by somebody or not. */
async function isEmpty(server: RabbitServer, { queue }: Bench): Promise<boolean> {
  const { ready, unacknowledged } = await countsOf(server, queue);
  return ready + unacknowledged === 0;
}

/** The end of a task: its state, and what it came to. */
async function endOf(app: Celery, id: string): Promise<readonly [state: string, value: unknown]> {
  const result = app.result(id);
  // A backend that has just come up refuses the first question.
  const state = await until(async () => {
    const now = await result.state().catch(() => "unknown");
    return ["SUCCESS", "FAILURE", "REVOKED"].includes(now) && now;
  }, { what: `the end of ${id}`, deadline: 60_000, every: 50 });
  return [state, await result.get({ timeout: 10 }).catch((error: Error) => error.message)];
}

/** Registers the tests; the server is up when they begin, and when they end. */
export function outages(serverOf: () => RabbitServer): void {
  describe("A24: retries and results while a server is away", () => {
    test(
      "the broker, when tasks ask for a retry: each goes on when it is back, acked early or late",
      async () => {
        const server = serverOf();
        await using redis = await startRedis();
        await using rig = await bench(server, {
          broker: { publishTimeout: "2s" },
          backend: redisBackend(redis.url),
        });
        const gate = deferred<void>();
        const begun: string[] = [];
        const ends: string[] = [];
        const body = (which: string) => async (task: Running): Promise<string> => {
          begun.push(which);
          await gate.promise;
          if (task.retries === 0) throw task.retry({ countdown: 0 });
          ends.push(which);
          return which;
        };
        rig.app.task("t.early", { bind: true }, body("early"));
        rig.app.task("t.late", { bind: true, acksLate: true }, body("late"));
        const { ended } = await rig.work();
        const sent = [await rig.sender.sendTask("t.early"), await rig.sender.sendTask("t.late")];
        await until(() => begun.length === 2, { what: "both run" });
        await server.kill9();
        gate.resolve();
        await rig.said(/^warning Task t\.early\S* could not send its retry: .*\(retry-unsent\)$/);
        await rig.said(/^warning Task t\.late\S* could not send its retry: .*\(retry-unsent\)$/);
        await server.start(180_000);
        const [early, late] = await Promise.all(sent.map(({ id }) => endOf(rig.app, id)));
        expect([early, late]).toEqual([["SUCCESS", "early"], ["SUCCESS", "late"]]);
        await until(() => isEmpty(server, rig), { what: "an empty queue", deadline: 30_000, every: 500 });
        expect(new Set(ends)).toEqual(new Set(["early", "late"]));
        expect(ended()).toBeUndefined();
        console.log(`runs that came to the end: ${ends.join(", ")}; begun: ${begun.join(", ")}`);
      },
      300_000,
    );

    test(
      "the backend, when tasks end: how each ended is there when it is back, and no RETRY over it",
      async () => {
        const server = serverOf();
        await using redis = await startRedis();
        await using rig = await bench(server, {
          backend: redisBackend(redis.url, { connectTimeout: "1s", commandTimeout: "1s" }),
          resultBackendMaxSleepBetweenRetriesMs: 500,
        });
        let runs = 0;
        rig.app.task("t.ok", { acksLate: true }, () => "done");
        rig.app.task("t.again", { bind: true, acksLate: true, maxRetries: 1 }, (task) => {
          runs++;
          throw task.retry({ countdown: 0, error: new RangeError("as planned") });
        });
        const { worker } = await rig.work();
        await redis.kill9();
        const sent = [await rig.sender.sendTask("t.ok"), await rig.sender.sendTask("t.again")];
        await until(() => worker.snapshot().unstored.waiting === 2, {
          what: "two results that wait",
          deadline: 30_000,
          seen: () => `${JSON.stringify(worker.snapshot().unstored)}\n${rig.lines.join("\n")}`,
        });
        expect(runs).toBe(2);
        await rig.said(
          /^error Couldn't store SUCCESS of task t\.ok.*It is kept, and tried again\. \(result-store-failed\)$/,
        );
        await redis.start();
        const [ok, again] = await Promise.all(sent.map(({ id }) => endOf(rig.app, id)));
        expect(ok).toEqual(["SUCCESS", "done"]);
        expect(again).toEqual(["FAILURE", expect.stringMatching(/as planned/)]);
        await until(() => worker.snapshot().unstored.waiting === 0, { what: "nothing waits" });
        expect(await isEmpty(server, rig)).toBe(true);
      },
      120_000,
    );
  });

  test(
    "A22: a revoke outlives the worker that heard of it: parked, given back, or sent after the restart",
    async () => {
      const server = serverOf();
      await using redis = await startRedis();
      const ran: string[] = [];
      const rigOf = async (options: object = {}): Promise<Bench> => {
        const rig = await bench(server, {
          backend: redisBackend(redis.url),
          workerParkAfter: "1s",
          ...options,
        });
        rig.app.task(
          "t.note",
          { params: ["which"], acksLate: true },
          (which: string) => void ran.push(which),
        );
        return rig;
      };
      const gate = deferred<void>();
      const first = await rigOf();
      const { queue, sender } = first;
      const ids: Record<string, string> = {};
      {
        await using rig = first;
        rig.app.task("t.block", () => gate.promise);
        const { worker } = await rig.work({ concurrency: 1 });
        const send = async (which: string, options: object = {}): Promise<void> => {
          ids[which] = (await sender.sendTask("t.note", { kwargs: { which }, ...options })).id;
        };
        await sender.sendTask("t.block");
        await until(() => worker.snapshot().active.length === 1, { what: "the one that blocks" });
        await send("returned");
        await until(() => worker.snapshot().reserved.length === 1, { what: "one that waits" });
        await send("parked", { countdown: 5 });
        await until(async () => /\bt\.note\b/.test(rig.lines.join("\n")), { what: "receipt" });
        // By its id alone, as any client does: the worker that has the other one in hand is not told.
        await rig.app.revoke(ids["returned"] ?? "");
        await worker.revoke([ids["parked"] ?? "", "comes-later"]);
        const stopped = worker.stop();
        await until(() => worker.snapshot().reserved.length === 0, { what: "what waited went back" });
        gate.resolve();
        await stopped;
      }
      {
        await using rig = await rigOf({ taskDefaultQueue: queue });
        await rig.work();
        for (const which of ["returned", "parked"]) {
          expect(await endOf(rig.app, ids[which] ?? ""), which).toEqual([
            "REVOKED",
            expect.stringMatching(/revoked/),
          ]);
        }
      }
      {
        // What comes for the first time, to run at once, is asked for where the setting says so.
        await using rig = await rigOf({ taskDefaultQueue: queue, workerCheckRevoked: "always" });
        await rig.work();
        await rig.sender.sendTask("t.note", { kwargs: { which: "later" }, taskId: "comes-later", queue });
        const free = await rig.sender.sendTask("t.note", { kwargs: { which: "free" }, queue });
        expect((await endOf(rig.app, "comes-later"))[0]).toBe("REVOKED");
        expect((await endOf(rig.app, free.id))[0]).toBe("SUCCESS");
      }
      expect(ran).toEqual(["free"]);
    },
    120_000,
  );

  test(
    "credentials that are changed while the worker runs: red until they are right again, and nothing ends",
    async () => {
      const server = serverOf();
      const [user, first, second] = ["turncoat", "canary-one-7781", "canary-two-7782"] as const;
      await addUser(server, { name: user, password: first, may: [".*", ".*", ".*"] });
      const url = new URL(server.url);
      url.username = user;
      url.password = first;
      await using rig = await bench({ url: url.href, port: server.port } as RabbitServer);
      rig.app.task("t.add", (x: number, y: number) => x + y);
      const { ended, worker } = await rig.work();
      await changePassword(server, user, second);
      expect(worker.health().healthy).toBe(true);
      await closeConnectionsOf(server, user, "the password was changed");
      await until(() => worker.health().reasons.some(({ code }) => code === "broker-credentials-refused"), {
        what: "the refusal in its health",
        deadline: 15_000,
        seen: () => JSON.stringify(worker.health()),
      });
      await rig.said(/^error consumer: Cannot connect[^]*\(broker-credentials-refused\)$/);
      expect(JSON.stringify([worker.health(), rig.lines])).not.toMatch(/canary/);
      await changePassword(server, user, first);
      await until(() => worker.health().healthy, { what: "green health", deadline: 15_000 });
      const { id } = await rig.app.sendTask("t.add", { args: [2, 3] });
      expect(await rig.app.result(id).get({ timeout: 10 })).toBe(5);
      expect(ended()).toBeUndefined();
    },
    90_000,
  );
}
