/** A consumer in whose every step something is thrown goes on, and what it could not take or settle returns. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Command, Commands } from "../../../adapters/redis/client.ts";
import { LinkCommands } from "../../../adapters/redis/commands.ts";
import { RedisConsumer } from "../../../adapters/redis/lease/consumer.ts";
import { LeaseKeys } from "../../../adapters/redis/lease/keys.ts";
import { CONNECTED } from "../../../adapters/redis/lease/pace.ts";
import { CLAIM, RENEW, RESTORE, SETTLE } from "../../../adapters/redis/lease/scripts.ts";
import { LeaseStore } from "../../../adapters/redis/lease/store.ts";
import { serverOf } from "../../../adapters/redis/server.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import { Celery } from "../../../mod.ts";
import type { Delivery } from "../../../src/broker.ts";
import { ConnectionError } from "../../../src/errors.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import { letter, textOf } from "../../../src/testing/contract/letter.ts";
import { Reader } from "../../../src/testing/contract/reader.ts";
import { Worker } from "../../../src/worker/worker.ts";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { until } from "../../support/wait.ts";
import { bareClient } from "../setup.ts";

let server: PrivateServer;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(() => server?.[Symbol.asyncDispose]());

const SCRIPTS: Readonly<Record<string, string>> = {
  claim: CLAIM.sha,
  settle: SETTLE.sha,
  renew: RENEW.sha,
  restore: RESTORE.sha,
};

/** Where a step of a consumer is known by its command. */
const STEPS: Readonly<Record<string, (command: Command) => boolean>> = {
  ...Object.fromEntries(
    Object.entries(SCRIPTS).map(([step, sha]) => [step, ([, what]: Command) => what === sha]),
  ),
  "a sweep's lock": ([name]) => name === "set",
  "a sweep's look at instants": ([name]) => name === "zrevrangebyscore",
  "a sweep's look at the fleet": ([name]) => name === "zrange",
  "a sweep's look at beats": ([name]) => name === "exists",
  "a sweep's look at tags": ([name]) => name === "zscan",
  "a sweep's look at entries": ([name]) => name === "hmget",
};

/** What is thrown, or answered instead. */
const FAULTS: Readonly<Record<string, () => unknown>> = {
  "a lost link": () => {
    throw new ConnectionError("broker-unreachable", "The link was lost.");
  },
  "an error of the server": () => Object.assign(new Error("ERR no such luck"), { name: "ReplyError" }),
  "a bug": () => {
    throw new TypeError("undefined is not a function");
  },
  nonsense: () => ["?", { no: "answer" }, null],
};

/** What a server refuses it has not done; all else may have been done before the fault. */
const REFUSED = "an error of the server";

/** Up to twice, when that step is taken. */
function faulty(inner: Commands, step: string, name: string, met: { times: number }): Commands {
  return {
    close: () => inner.close(),
    async run(commands, options) {
      if (met.times >= 2 || !commands.some((command) => STEPS[step]?.(command))) {
        return await inner.run(commands, options);
      }
      met.times++;
      if (name !== REFUSED) await inner.run(commands, options);
      return commands.map(() => FAULTS[name]?.());
    },
  };
}

async function tryStep(step: string, name: string): Promise<void> {
  const { clock } = systemPlatform;
  const prefix = `${crypto.randomUUID()}:`;
  const { own, subject } = serverOf("broker", "test", server.url, {}, clock);
  const limits = { connectTimeout: 5000, commandTimeout: 5000, longestPause: 100 };
  const real = new LinkCommands({ ...limits, subject, platform: systemPlatform, open: own("steps") });
  const keys = new LeaseKeys(prefix);
  const broker = redisBroker(server.url, { globalKeyprefix: prefix });
  const met = { times: 0 };
  const publish = async (text: string): Promise<void> => {
    const [verdict] = await broker.publish([{
      message: letter(text),
      to: { exchange: "", routingKey: "q" },
      mustRoute: true,
    }]);
    expect(verdict?.is).toBe("confirmed");
  };
  await publish("left behind");
  await new LeaseStore({ commands: real, keys, subject, clock }, { id: "dead", consumerTimeout: 300 }).claim([
    { queue: "q", most: 1 },
  ]);
  const times = { visibilityTimeout: 1000, consumerTimeout: 1000, closeTimeout: 2000 };
  const consumer = new RedisConsumer(["q"], 10, {
    ...{
      commands: faulty(real, step, name, met),
      keys,
      subject,
      platform: systemPlatform,
      pace: CONNECTED,
      ...times,
    },
    ...{
      worked: () => {},
      failed: () => {},
      prepare: () => Promise.resolve(),
      ended: () => {},
    },
  });
  const reader = new Reader<Delivery>(consumer, 15_000);
  await publish("1");
  const refused = new Set<string>();
  /** Settles the next one; its text, where that is its end. What was refused comes again, flagged. */
  async function finish(): Promise<string | undefined> {
    const delivery = await reader.next();
    const text = textOf(delivery.message);
    // Who holds nothing has nothing to renew.
    if (step === "renew") {
      await until(() => met.times > 0, { what: "a fault in a renewal", deadline: 15_000 });
    }
    const fate = await delivery.settle({ as: "ack" }).catch(() => "failed");
    if (refused.has(text)) expect(delivery.redelivered).toBe(true);
    if (fate === "settled" || name !== REFUSED) return text;
    refused.add(text);
    return undefined;
  }
  const done = new Set<string>();
  while (done.size < 2) {
    const text = await finish();
    if (text !== undefined) done.add(text);
  }
  await until(() => met.times > 0, { what: `a fault in ${step}`, deadline: 15_000 });
  // After all of that it consumes as before.
  await publish("2");
  while (await finish() !== "2");
  await consumer.stop();
  await broker.close();
  await real.close();
}

test.each(Object.keys(FAULTS))(
  "A02: %s in any step of a consumer: it goes on, and the message returns",
  async (name) => {
    const tried = await Promise.allSettled(Object.keys(STEPS).map((step) => tryStep(step, name)));
    const failed = tried.flatMap((one, at) =>
      one.status === "rejected" ? [`${Object.keys(STEPS)[at]}: ${one.reason}`] : []
    );
    expect(failed).toEqual([]);
  },
  60_000,
);

test("A02: whatever throws around a worker's tasks, the next ones run", async () => {
  await using redis = bareClient(server.url);
  const queue = crypto.randomUUID();
  const broken = (): never => {
    throw new Error("broken");
  };
  const ran: string[] = [];
  const app = new Celery("broken", {
    broker: redisBroker(server.url, { visibilityTimeout: "1s" }),
    backend: {
      ...{ features: { push: true, chord: "none", shared: true }, transport: "broken", address: "broken" },
      ...{
        store: broken,
        load: broken,
        watch: broken,
        forget: broken,
        bump: broken,
        close: () => Promise.resolve(),
      },
    } as never,
    taskDefaultQueue: queue,
    logger: { log: broken },
  });
  app.task("a02.runs", { acksLate: true }, (name: string) => void ran.push(name));
  app.task("a02.throws", broken);
  app.task("a02.rejects", { acksLate: true }, () => Promise.reject(new Error("no")));
  app.task("a02.secret", () => Symbol("no JSON"));
  const worker = new Worker(app);
  const running = worker.run();
  for (const name of ["a02.throws", "a02.rejects", "a02.secret", "a02.unknown"]) {
    await app.sendTask(name);
    await app.sendTask("a02.runs", { args: [name] });
    await until(() => ran.includes(name), { what: `a task after ${name}` });
  }
  for (
    const text of [
      "",
      "garbage",
      "[]",
      "{}",
      '{"body": 1, "properties": {}, "headers": {"task": 5, "id": []}}',
      "\u0000\ufffd",
    ]
  ) {
    await redis.lpush(queue, text);
    await app.sendTask("a02.runs", { args: [`after ${text}`] });
    await until(() => ran.includes(`after ${text}`), { what: `a task after ${JSON.stringify(text)}` });
  }
  await until(async () => await redis.llen(queue) === 0 && await redis.hlen("unacked") === 0, {
    what: "the end of all",
  });
  await worker.stop();
  await running;
  await app.close();
}, 60_000);
