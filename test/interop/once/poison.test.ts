/** A19 on a real RabbitMQ: a task that kills its worker's process each time, sent by Python among neighbours. */
import { Redis } from "ioredis";
import { expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { ROOT, startCeleriac } from "../../support/celeriac.ts";
import { startCeleryClient } from "../../support/python.ts";

const QUEUE = `poison-${process.pid}`;
const env = { broker: inject("amqp"), backend: inject("redis") };

test("is put beside its queue after three deliveries; Python meets its failure, its neighbours run", async () => {
  const python = await startCeleryClient(env);
  const redis = new Redis(env.backend);
  const broker = amqpBroker(env.broker);
  try {
    const options = { queue: QUEUE };
    const victim = await python.call<string>("send_task", { name: "tasks.kill", args: [7], options });
    const neighbours = await python.call<string[]>("send_many", {
      name: "tasks.add",
      each: [1, 2, 3, 4, 5].map((at) => [at, 1]),
      options,
    });
    for (let life = 1; life <= 4; life++) {
      await using worker = startCeleriac([
        ...["-A", `${ROOT}test/interop/fixtures/fleet.ts`, "worker", "-Q", QUEUE, "-c", "3", "-l", "info"],
      ], {
        env: {
          CELERIAC_TEST_BROKER: env.broker,
          CELERIAC_TEST_BACKEND: env.backend,
          CELERIAC_TEST_CONF: JSON.stringify({ task_acks_late: true }),
        },
      });
      if (life < 4) expect(await worker.end).toMatch(/SIGKILL/);
      else {await worker.saw(
          new RegExp(`Task tasks\\.kill\\[${victim}\\] raised unexpected: DeliveryLimitExceeded`),
        );}
    }
    await expect(python.call("get", { id: victim, timeout: 20 })).rejects.toMatchObject({
      type: "DeliveryLimitExceeded",
    });
    expect(await python.call("get_many", { ids: neighbours })).toEqual([2, 3, 4, 5, 6]);
    expect(await redis.get(`celeriac:fact:starts:${victim}:0`)).toBe("2");
    const consumer = broker.consume([`${QUEUE}.dead`], { prefetch: 1 });
    for await (const delivery of consumer) {
      expect(delivery.message.headers).toMatchObject({
        id: victim,
        "celeriac-dead-reason": "delivery-limit",
        "celeriac-dead-queue": QUEUE,
        "celeriac-dead-count": 3,
      });
      await delivery.settle({ as: "ack" });
      break;
    }
    await consumer.stop();
  } finally {
    await python.call("delete_queues", { names: [QUEUE, `${QUEUE}.dead`] });
    await python.stop();
    await redis.quit();
    await broker.close();
  }
});
