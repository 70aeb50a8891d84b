import { randomUUID } from "node:crypto";
import { AMQPClient } from "@cloudamqp/amqp-client";
import { afterAll, describe, expect, inject, test } from "vitest";
import { run, start } from "./run.ts";

const queue = `cli-${randomUUID()}`;
const env = { CELERY_BROKER_URL: inject("amqp"), CELERY_RESULT_BACKEND: inject("redis") };
const SECRET = "s3cr3t-canary";

afterAll(async () => {
  const connection = await new AMQPClient(inject("amqp")).connect();
  const channel = await connection.channel();
  await channel.queueDelete(queue);
  await channel.exchangeDelete(queue);
  await connection.close();
});

describe("call, worker and result together, on RabbitMQ and Redis", () => {
  test("a task is sent, run, and its result read", async () => {
    const sent = await run([
      "-A",
      "./servers.ts",
      "call",
      "tasks.sum.consume_task",
      "-k",
      '{"a": 86, "b": 63}',
      "--queue",
      queue,
    ], env);
    expect(sent.stderr).toBe("");
    const id = sent.stdout.trim();
    const failing = await run(["call", "tasks.boom", "--queue", queue], env);
    await using worker = start(["-A", "./servers.ts", "worker", "-Q", queue, "-l", "info"], env);
    await worker.saw(/succeeded in .*: 149/);
    await worker.saw(/raised unexpected/);

    const result = await run(["-A", "./servers.ts", "result", id], env);
    expect(result).toEqual({ end: "exit 0", stdout: "149\n", stderr: "" });
    const failed = await run(["result", failing.stdout.trim()], env);
    expect(failed).toMatchObject({
      end: "exit 1",
      stdout: "",
      stderr: expect.stringMatching(/RangeError: boom[\s\S]*servers\.ts/),
    });
    const traceback = await run(["result", failing.stdout.trim(), "--traceback"], env);
    expect(traceback).toMatchObject({
      end: "exit 0",
      stdout: expect.stringMatching(/RangeError: boom[\s\S]*servers\.ts/),
    });
    const none = await run(["result", randomUUID(), "--timeout", "0.2"], env);
    expect(none).toMatchObject({ end: "exit 1", stderr: expect.stringContaining("[result-timeout]") });
    expect(await worker.stop("SIGTERM")).toBe("exit 0");
    expect(worker.log).toMatch(/Connected to amqp:\/\//);
  });
});

test("a task that ends the process was acked before: it does not take the next worker along", async () => {
  const dying = await run(["-A", "./servers.ts", "call", "tasks.die", "--queue", queue], env);
  expect(dying.end).toBe("exit 0");
  await using first = start(["-A", "./servers.ts", "worker", "-Q", queue, "-l", "info"], env);
  expect(await first.end, first.log).toBe("exit 7");
  const next = await run(["call", "tasks.sum.consume_task", "-a", "[1, 1]", "--queue", queue], env);
  expect(next.end, next.stderr).toBe("exit 0");
  await using second = start(["-A", "./servers.ts", "worker", "-Q", queue, "-l", "info"], env);
  await second.saw(/succeeded in .*: 2/);
  expect(await second.stop("SIGTERM")).toBe("exit 0");
  expect(second.log).not.toMatch(/tasks\.die\[.*received/);
});

describe("a server that is not there", () => {
  const amqp = `amqp://user:${SECRET}@127.0.0.1:1//`;
  const redis = `redis://:${SECRET}@127.0.0.1:1/0`;

  test("ends `call` with 69 and one line without the password", async () => {
    const { end, stderr } = await run(["-b", amqp, "call", "t"]);
    expect(stderr).toMatch(/^celeriac: .*127\.0\.0\.1:1.* \[broker-unreachable\]\n$/);
    expect(stderr).not.toContain(SECRET);
    expect(end).toBe("exit 69");
  });

  test("ends `result` with 69", async () => {
    const { end, stderr } = await run([
      "-b",
      amqp,
      "--result-backend",
      redis,
      "result",
      randomUUID(),
      "--timeout",
      "20",
    ]);
    expect(stderr).toMatch(/\[backend-/);
    expect(stderr).not.toContain(SECRET);
    expect(end).toBe("exit 69");
  });

  test("ends a worker with 1 where it may not wait for it", async () => {
    const { end, stdout, stderr } = await run(["-A", "./servers.ts", "-b", amqp, "worker", "-l", "debug"]);
    expect(stderr).toContain("[broker-unreachable]");
    expect(stdout + stderr).not.toContain(SECRET);
    expect(stdout).toContain("amqp://user:***@127.0.0.1:1//");
    expect(end).toBe("exit 1");
  });

  test("with a URL that is none ends with 1", async () => {
    const { end, stderr } = await run(["-b", `http://user:${SECRET}@h/`, "call", "t"]);
    expect(stderr).not.toContain(SECRET);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
    expect(end).toBe("exit 1");
  });
});
