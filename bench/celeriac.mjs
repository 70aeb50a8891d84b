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

function declare(broker, { redis, queue }) {
  let ran = 0;
  let reached = () => {};
  const app = new Celery("bench", { broker, backend: redisBackend(redis) });
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

/** The two phases of a contestant, over the broker that `brokerOf` makes of the options. */
export function phases(brokerOf) {
  return {
    /** Publishes `count` tasks, each confirmed, `width` in flight. */
    async publish(options) {
      const { app, add, queue } = declare(brokerOf(options), options);
      await app.connect?.();
      return {
        run: () => pump(options.count, options.width, () => add.applyAsync([1, 2], { queue })),
        close: () => app.close(),
      };
    },

    /** Runs a worker until `count` tasks ran, their results are stored and acks flushed. */
    async consume(options) {
      const { app, until, queue } = declare(brokerOf(options), options);
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
    },
  };
}

export const { publish, consume } = phases(({ amqp }) => amqpBroker(amqp));
