import { inject } from "vitest";
import { describe, expect, test } from "vitest";
import { ROOT, startCeleriac } from "../support/celeriac.ts";

/** Stands where a password, a user or a token stands; no output may hold it, as it is or percent-encoded. */
const CANARY = "c4n4ry-Pa55w0rd";
const ENCODED = "c4n4ry%2DPa55w0rd";

const amqp = new URL(inject("amqp"));
const redis = new URL(inject("redis"));

interface Case {
  readonly what: string;
  readonly code: RegExp;
  readonly broker?: string;
  readonly backend?: string;
}

const BROKERS: readonly Case[] = [
  {
    what: "refused credentials",
    code: /broker-credentials-refused/,
    broker: `amqp://guest:${CANARY}@${amqp.host}//`,
  },
  {
    what: "a missing vhost",
    code: /broker-vhost-missing/,
    broker: `amqp://${amqp.username}:${amqp.password}@${amqp.host}/no-such-vhost`,
  },
  { what: "a closed port", code: /broker-unreachable/, broker: `amqp://user:${CANARY}@127.0.0.1:1//` },
  { what: "an encoded password", code: /broker-unreachable/, broker: `amqp://user:${ENCODED}@127.0.0.1:1//` },
  {
    what: "a port that is no number",
    code: /broker-url-invalid/,
    broker: `amqp://user:${CANARY}@127.0.0.1:port//`,
  },
  { what: "a host that is none", code: /broker-url-invalid/, broker: `amqp://user:${CANARY}@[127.0.0.1//` },
  { what: "a scheme of nobody", code: /transport-unsupported/, broker: `ampq://user:${CANARY}@127.0.0.1//` },
  {
    what: "a failover list",
    code: /broker-unreachable/,
    broker: `amqp://user:${CANARY}@127.0.0.1:1//;amqp://user:${CANARY}@127.0.0.1:2//`,
  },
];

const BACKENDS: readonly Case[] = [
  { what: "a closed port", code: /backend-unreachable/, backend: `redis://:${CANARY}@127.0.0.1:1/0` },
  {
    what: "a user that nobody knows",
    code: /backend-credentials-refused/,
    backend: `redis://nobody:${CANARY}@${redis.host}/0`,
  },
  {
    what: "a database that is no number",
    code: /backend-url-invalid/,
    backend: `redis://:${CANARY}@127.0.0.1/zero`,
  },
  { what: "a scheme of nobody", code: /transport-unsupported/, backend: `reddis://:${CANARY}@127.0.0.1/0` },
];

async function outputOf(
  args: readonly string[],
  { broker = amqp.href, backend = redis.href }: Case,
): Promise<string> {
  const env = { BROKER_URL: broker, RESULT_BACKEND: backend, CELERIAC_DEBUG: "1" };
  await using child = startCeleriac(["-A", `${ROOT}examples/sum/run.ts`, ...args], { env });
  const end = await child.end;
  expect(end, child.log).not.toBe("exit 0");
  return child.log;
}

function expectSilence(log: string): void {
  expect(log).not.toContain(CANARY);
  expect(log).not.toContain(ENCODED);
}

describe("no secret of a URL is in any output", () => {
  test.each(BROKERS)("call, with $what", async (each) => {
    const log = await outputOf(["call", "tasks.sum.consume_task", "--args", "[1, 2]"], each);
    expect(log).toMatch(each.code);
    expectSilence(log);
  });

  test.each(BACKENDS)("result, with $what", async (each) => {
    const log = await outputOf(["result", "0b9cd3a1-0000-4000-8000-000000000000"], each);
    expect(log).toMatch(each.code);
    expectSilence(log);
  });

  test("a worker that cannot connect, with its banner and all its log lines", async () => {
    const broker = `amqp://user:${CANARY}@127.0.0.1:1//`;
    await using child = startCeleriac(
      ["-A", `${ROOT}examples/sum/run.ts`, "worker", "-Q", "canary", "-l", "debug"],
      { env: { BROKER_URL: broker, RESULT_BACKEND: `redis://:${CANARY}@127.0.0.1:1/0` } },
    );
    await child.saw(/Cannot connect to amqp:\/\/user:\*\*[\s\S]*Trying again/);
    await child.stop("SIGTERM");
    expect(child.log).toMatch(/transport: +amqp:\/\/user:\*\*/);
    expect(child.log).toMatch(/results: +redis:\/\/:\*\*/);
    expectSilence(child.log);
  });
});
