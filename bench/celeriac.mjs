/**
 * The same through celeriac, as a user writes it.
 *
 * @module
 */
import { Celery } from "celeriac";
import { amqpBroker } from "celeriac/amqp";
import { redisBackend } from "celeriac/redis";
import { Worker } from "celeriac/worker";
import { pump } from "./pump.mjs";

function declare({ amqp, redis, queue }) {
  let ran = 0;
  let reached = () => {};
  const app = new Celery("bench", { broker: amqpBroker(amqp), backend: redisBackend(redis) });
  const add = app.task("bench.add", { params: ["a", "b"] }, (a, b) => {
    ran += 1;
    reached(ran);
    return a + b;
  });
  const until = (count) =>
    new Promise((resolve) => {
      reached = (now) => {
        if (now === count) resolve();
      };
    });
  return { app, add, until, queue };
}

/** Publishes `count` tasks, each confirmed, `width` in flight. */
export async function publish(options) {
  const { app, add, queue } = declare(options);
  await app.connect?.();
  return {
    run: () => pump(options.count, options.width, () => add.applyAsync([1, 2], { queue })),
    close: () => app.close(),
  };
}

/** Runs a worker until `count` tasks ran, their results are stored and acks flushed. */
export async function consume(options) {
  const { app, until, queue } = declare(options);
  const worker = new Worker(app, { queues: [queue], concurrency: 10 });
  return {
    async run() {
      const done = until(options.count);
      const running = worker.run();
      await done;
      await worker.stop();
      await running;
    },
    close: () => app.close(),
  };
}
