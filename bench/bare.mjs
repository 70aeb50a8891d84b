/**
 * The bare loop: the same wire work as a celeriac client and worker, written straight on @cloudamqp/amqp-client and ioredis, with no
 * routing, no checks, no reconnect, no deadlines.
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { Redis } from "ioredis";
import { randomUUID } from "node:crypto";
import { pump } from "./pump.mjs";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What celeriac's store does, too: SUCCESS is never overwritten, SETEX, PUBLISH, in one script. */
const STORE = `local old = redis.call('GET', KEYS[1])
if old and string.find(old, '"status": "SUCCESS"', 1, true) then return 0 end
redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1`;

function headersOf(id) {
  return {
    lang: "js",
    task: "bench.add",
    id,
    shadow: null,
    eta: null,
    expires: null,
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [null, null],
    root_id: id,
    parent_id: null,
    argsrepr: "(1, 2)",
    kwargsrepr: "{}",
    origin: "gen1@bench",
    ignore_result: null,
    replaced_task_nesting: 0,
    stamped_headers: null,
    stamps: {},
  };
}

/** Publishes `count` tasks, each confirmed, `width` in flight. */
export async function publish({ amqp, queue, count, width }) {
  const client = new AMQPClient(amqp);
  await client.connect();
  const channel = await client.channel();
  await channel.queueDeclare(queue, { durable: true });
  await channel.confirmSelect();
  const body = JSON.stringify([[1, 2], {}, { callbacks: null, errbacks: null, chain: null, chord: null }]);
  return {
    run: () =>
      pump(count, width, () => {
        const id = randomUUID();
        return channel.basicPublish("", queue, encoder.encode(body), {
          contentType: "application/json",
          contentEncoding: "utf-8",
          deliveryMode: 2,
          priority: 0,
          correlationId: id,
          replyTo: "bench",
          headers: headersOf(id),
        }, true);
      }),
    close: () => client.close(),
  };
}

/** Consumes `count` tasks: opens the body, adds, stores the result in Redis, acks. */
export async function consume({ amqp, redis, queue, count, prefetch }) {
  const client = new AMQPClient(amqp);
  await client.connect();
  const channel = await client.channel();
  await channel.prefetch(prefetch);
  const store = new Redis(redis, { enableAutoPipelining: true });
  store.defineCommand("storeResult", { numberOfKeys: 1, lua: STORE });
  return {
    async run() {
      let left = count;
      const stored = [];
      await new Promise((resolve, reject) => {
        channel.basicConsume(queue, { noAck: false }, (message) => {
          const [[a, b]] = JSON.parse(decoder.decode(message.body));
          message.ack();
          const taskId = message.properties.headers.id;
          const text = JSON.stringify({
            status: "SUCCESS",
            result: a + b,
            traceback: null,
            children: [],
            date_done: new Date().toISOString(),
            task_id: taskId,
          });
          stored.push(store.storeResult(`celery-task-meta-${taskId}`, text, 86400));
          left -= 1;
          if (left === 0) resolve();
        }).catch(reject);
      });
      await Promise.all(stored);
      await channel.close();
    },
    async close() {
      await client.close();
      await store.quit();
    },
  };
}
