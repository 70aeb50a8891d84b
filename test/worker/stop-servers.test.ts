/**
 * A20 on real servers: a worker is told to stop at random instants of a run; nothing is lost, what has finished does not run again.
 */
import { randomUUID } from "node:crypto";
import { describe, expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import { Celery } from "../../src/app/app.ts";
import { innerOf } from "../../src/app/inner.ts";
import type { Running } from "../../src/app/running.ts";
import type { Broker } from "../../src/broker.ts";
import { Worker } from "../../src/worker/worker.ts";
import { until } from "../support/wait.ts";

const TASKS = 300;

/** How many instants; A20_INSTANTS=24 for a few dozen. */
const INSTANTS = Number(process.env["A20_INSTANTS"] ?? 2);

interface Run {
  readonly begun: number;
  readonly ended: "success" | "cut" | undefined;
}

const BROKERS: readonly (readonly [name: string, make: () => Broker])[] = [
  ["RabbitMQ", () => amqpBroker(inject("amqp"))],
  ["Redis", () => redisBroker(inject("redis"))],
];

describe.each(BROKERS)("on %s", (_name, make) => {
  test(`${TASKS} tasks end once each, whenever a worker among them stops`, {
    timeout: 20_000 + 8000 * INSTANTS,
  }, async () => {
    const told: string[] = [];
    for (let instant = 0; instant < INSTANTS; instant++) {
      const queue = `stops-${randomUUID()}`;
      const app = new Celery("stops", {
        broker: make(),
        backend: memoryBackend(),
        taskDefaultQueue: queue,
        logger: { log() {} },
      });
      const runs = new Map<number, Run[]>();
      const body = async (task: Running, number: number): Promise<number> => {
        const mine = { begun: Date.now(), ended: undefined as Run["ended"] };
        runs.set(number, [...runs.get(number) ?? [], mine]);
        await new Promise((resolve) => setTimeout(resolve, number % 5));
        if (number % 3 === 0 && task.signal.aborted) {
          mine.ended = "cut";
          throw task.signal.reason;
        }
        mine.ended = "success";
        return number;
      };
      app.task("late", { bind: true, acksLate: true }, body);
      app.task("early", { bind: true }, body);
      const calls = Array.from({ length: TASKS }, (_, number) => ({
        name: number % 2 === 0 ? "late" : "early",
        args: [number],
      }));
      const sent = await app.sendMany(calls);
      expect(sent.every(({ status }) => status === "fulfilled")).toBe(true);
      const how = instant % 2 === 0 ? "warm" : "cold";
      const first = new Worker(app, { concurrency: 5 });
      const second = new Worker(app, { concurrency: 5 });
      const done = first.run();
      await until(() => runs.size > 0, { what: "the first has begun", every: 1 });
      const wait = Math.random() * 150;
      await new Promise((resolve) => setTimeout(resolve, wait));
      await first.stop({ how });
      await done;
      const before = [...runs].filter(([, all]) => all.some(({ ended }) => ended === "success")).length;
      // Nothing runs and nothing is held: what has not finished is in the queue at once.
      const cut = [...runs].filter(([number, all]) => number % 2 === 0 && all.at(-1)?.ended === "cut").length;
      const lost = [...runs].filter(([number, all]) =>
        number % 2 === 1 && all.at(-1)?.ended === "cut"
      ).length;
      // RabbitMQ counts what came back a little later.
      let inQueue = 0;
      await until(async () => {
        inQueue = await innerOf(app).broker().count(queue);
        return before + inQueue + lost === TASKS;
      }, {
        what: `${TASKS} tasks, ${how} after ${wait} ms`,
        seen: () => `${before} + ${inQueue} + ${lost}`,
        every: 5,
      });
      const rest = second.run();
      await until(
        () => [...runs].filter(([, all]) => all.at(-1)?.ended === "success").length === TASKS - lost,
        {
          what: "all have run",
          deadline: 15_000,
        },
      );
      await second.stop();
      await rest;
      // Begun again is only what a cold stop has cut short.
      const again = [...runs].filter(([, all]) => all.length > 1);
      expect(again.every(([, all]) => all.length === 2 && all[0]?.ended === "cut")).toBe(true);
      expect(again.length).toBe(cut);
      expect(await innerOf(app).broker().count(queue)).toBe(0);
      told.push(
        `${how} after ${wait.toFixed(1)} ms: ${before} had run, ${inQueue} went back, ${cut} cut short`,
      );
      await app.close();
    }
    if (INSTANTS > 4) console.log(told.join("\n"));
  });
});
