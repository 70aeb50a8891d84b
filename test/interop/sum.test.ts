import { Redis } from "ioredis";
import { inject } from "vitest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, startCeleriac, startScript } from "../support/celeriac.ts";
import { startCeleryWorker } from "../support/celery-worker.ts";
import type { Child } from "../support/child.ts";
import { type Python, startCeleryClient } from "../support/python.ts";
import { until } from "../support/wait.ts";

const QUEUE = "sum-queue";
const SUM = "tasks.sum.consume_task";
const env = { BROKER_URL: inject("amqp"), RESULT_BACKEND: inject("redis") };

interface Answer {
  readonly id: string;
  readonly state: string;
  readonly result?: number;
}

/** The Hono client in a process of its own, by `npm run sum:client`'s own line. */
async function startClient(): Promise<{ child: Child; url: string }> {
  const child = startScript(["scripts/ts.mjs", "examples/sum/client.ts"], { env: { ...env, PORT: "0" } });
  const [, url] = await child.saw(/Listening on (http:\S+)/);
  return { child, url: url ?? "" };
}

async function publish(url: string): Promise<{ id: string; a: number; b: number }> {
  const response = await fetch(`${url}/publish`);
  const text = await response.text();
  const [, a, b] = /^a=(\d+), b=(\d+) Published to the queue$/.exec(text) ?? [];
  expect(text).toMatch(/^a=\d+, b=\d+ Published to the queue$/);
  return { id: response.headers.get("x-task-id") ?? "", a: Number(a), b: Number(b) };
}

function resultOf(url: string, id: string): Promise<Answer> {
  return until(async () => {
    const answer = await (await fetch(`${url}/result/${id}`)).json() as Answer;
    return answer.state === "SUCCESS" && answer;
  }, { what: `the result of ${id}`, deadline: 20_000, every: 50 });
}

let python: Python;
let redis: Redis;

beforeAll(async () => {
  python = await startCeleryClient({ broker: env.BROKER_URL, backend: env.RESULT_BACKEND });
  redis = new Redis(env.RESULT_BACKEND);
});

afterAll(async () => {
  await python.call("delete_queues", { names: [QUEUE] });
  await python.stop();
  await redis.quit();
});

describe("the sum application with celeriac's worker", () => {
  let worker: Child;

  beforeAll(async () => {
    worker = startCeleriac([
      ...["-A", "./examples/sum/run.ts", "worker", "-Q", QUEUE, "--hostname", "worker@%h"],
      ...["-c", "4", "--loglevel=info"],
    ], { env });
    await worker.saw(/worker@\S+ ready\./);
  });

  afterAll(async () => {
    await worker.stop();
  });

  test("it runs what Python published with kwargs, and Python's get() returns 149", async () => {
    const id = await python.call<string>("send_task", {
      name: SUM,
      kwargs: { a: 86, b: 63 },
      options: { queue: QUEUE },
    });
    const { value } = await python.call<{ value: number }>("get", { id, timeout: 20 });
    expect(value).toBe(149);
    await worker.saw(new RegExp(`Task ${SUM}\\[${id}\\] received`));
    await worker.saw(new RegExp(`Task ${SUM}\\[${id}\\] succeeded in [0-9.]+s: 149`));
  });

  test("it runs what Python published with positional args", async () => {
    const id = await python.call<string>("send_task", {
      name: SUM,
      args: [86, 63],
      options: { queue: QUEUE },
    });
    expect((await python.call<{ value: number }>("get", { id, timeout: 20 })).value).toBe(149);
  });

  test("the stored result reads as Celery's own", async () => {
    const id = await python.call<string>("send_task", { name: SUM, args: [1, 2], options: { queue: QUEUE } });
    await python.call("get", { id, timeout: 20 });
    const key = `celery-task-meta-${id}`;
    expect(await redis.get(key)).toMatch(
      new RegExp(
        `^\\{"status": "SUCCESS", "result": 3, "traceback": null, "children": \\[\\], ` +
          `"date_done": "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{6})?\\+00:00", "task_id": "${id}"\\}$`,
      ),
    );
    const ttl = await redis.ttl(key);
    expect(ttl).toBeGreaterThan(86_300);
    expect(ttl).toBeLessThanOrEqual(86_400);
  });

  test("wrong arguments fail with Python's sentence and do not stop the worker", async () => {
    const id = await python.call<string>("send_task", { name: SUM, args: [1], options: { queue: QUEUE } });
    await expect(python.call("get", { id, timeout: 20 })).rejects.toMatchObject({
      type: "TypeError",
      module: "builtins",
    });
    const next = await python.call<string>("send_task", {
      name: SUM,
      args: [1, 1],
      options: { queue: QUEUE },
    });
    expect((await python.call<{ value: number }>("get", { id: next, timeout: 20 })).value).toBe(2);
  });

  test("100 parallel requests to the Hono client lose nothing", async () => {
    const client = await startClient();
    try {
      const published = await Promise.all(Array.from({ length: 100 }, () => publish(client.url)));
      expect(new Set(published.map(({ id }) => id)).size).toBe(100);
      const answers = await Promise.all(published.map(({ id }) => resultOf(client.url, id)));
      expect(answers.map(({ result }) => result)).toEqual(published.map(({ a, b }) => a + b));
    } finally {
      await client.child.stop();
    }
  });

  test("SIGTERM ends it warmly with exit 0", async () => {
    const other = startCeleriac([
      ...["-A", `${ROOT}examples/sum/run.ts`, "worker", "-Q", "sum-queue-2"],
      ...["-n", "other@%h", "-l", "info"],
    ], { env });
    try {
      await other.saw(/other@\S+ ready\./);
    } finally {
      expect(await other.stop("SIGTERM")).toBe("exit 0");
    }
    expect(other.log).toMatch(/Warm shutdown/);
    await python.call("delete_queues", { names: ["sum-queue-2"] });
  });
});

describe("the sum application with a Python worker", () => {
  test("it runs what the Hono client published, and the client reads the sum", async () => {
    await using worker = await startCeleryWorker({
      broker: env.BROKER_URL,
      backend: env.RESULT_BACKEND,
      queue: QUEUE,
    });
    const client = await startClient();
    try {
      const { id, a, b } = await publish(client.url);
      await worker.saw(new RegExp(`Task ${SUM}\\[${id}\\] succeeded`));
      expect((await resultOf(client.url, id)).result).toBe(a + b);
    } finally {
      await client.child.stop();
    }
  });
});
