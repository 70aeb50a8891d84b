import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { ROOT, startCeleriac } from "../support/celeriac.ts";
import { type Child, startChild } from "../support/child.ts";
import { startGateway } from "../support/gateway.ts";
import { PYTHON, PYTHON_ENV } from "../support/python.ts";
import { freePort } from "../support/ports.ts";
import { startRelay } from "../support/relay.ts";
import { until } from "../support/wait.ts";
import { bundleOf, type Host, inBun, inDeno, inEdgeRuntime, inWorkerd, type Settings } from "./hosts.ts";

const APP = "examples/edge/app.ts";
const amqp = inject("amqp");
const redis = inject("redis");

const HOSTS: readonly (readonly [string, (file: string, settings: Settings) => Promise<Host>])[] = [
  ["workerd", inWorkerd],
  ["edge-runtime", inEdgeRuntime],
  ["Bun", inBun],
  ["Deno", inDeno],
];

const hosts = new Map<string, Host>();
const open: AsyncDisposable[] = [];
let settings: Settings;

beforeAll(async () => {
  const server = new URL(amqp);
  const relay = await startRelay({ host: server.hostname, port: Number(server.port) });
  const gateway = await startGateway({ redis });
  open.push(relay, gateway);
  settings = { RELAY_URL: `${relay.url}/`, REDIS_URL: gateway.url, REDIS_TOKEN: gateway.token };
  for (const [name, start] of HOSTS) {
    const host = await start(APP, settings);
    hosts.set(name, host);
    open.unshift(host);
  }
}, 120_000);

afterAll(async () => {
  for (const each of open) await each[Symbol.asyncDispose]();
});

function pythonWorker(broker: string): Promise<Child> {
  return ready(startChild(PYTHON, [
    ...["-m", "celery", "-A", "signup", "worker", "-Q", "signups", "-P", "solo", "-l", "info"],
    ...["-n", "signups@localhost", "--without-mingle", "--without-gossip"],
  ], {
    cwd: `${ROOT}examples/edge`,
    env: { ...PYTHON_ENV, BROKER_URL: broker, RESULT_BACKEND: redis },
  }));
}

function ourWorker(broker: string): Promise<Child> {
  return ready(startCeleriac(
    ["-A", "./examples/edge/run.ts", "worker", "-Q", "signups", "--loglevel=info"],
    { env: { BROKER_URL: broker, RESULT_BACKEND: redis } },
  ));
}

async function ready(child: Child): Promise<Child> {
  await child.saw(/ ready\.\s/, 30_000);
  return child;
}

describe.each([
  ["amqp", "celeriac's worker", () => ourWorker(amqp)],
  ["amqp", "a Python worker", () => pythonWorker(amqp)],
  ["redis", "celeriac's worker", () => ourWorker(redis)],
  ["redis", "a Python worker", () => pythonWorker(redis)],
])("published by way of %s", (way, _worker, start) => {
  let worker: Child;

  beforeAll(async () => {
    worker = await start();
  }, 60_000);

  afterAll(async () => {
    await worker.stop();
  });

  test.each(HOSTS.map(([name]) => [name, _worker] as const))(
    "from %s, %s runs it and the edge tells its result",
    async (name) => {
      const host = hosts.get(name);
      if (host === undefined) throw new Error(`${name} did not start`);
      const response = await host.fetch(`/${way}/signups/${name}`, "POST");
      const text = await response.text();
      expect(response.status, text).toBe(202);
      const { id } = JSON.parse(text) as { id: string };
      const last = await until(async () => {
        const answer = await host.fetch(`/results/${id}`);
        return answer.status === 200 && await answer.json() as unknown;
      }, { what: `the result of ${id}`, deadline: 15_000, every: 50 });
      expect(last).toEqual({ id, state: "SUCCESS", result: `Welcome, ${name}` });
      await worker.saw(new RegExp(`signup\\.welcome\\[${id}\\] succeeded`));
    },
  );
});

test("a broker that is not there, and one whose answers are lost, are told apart", async () => {
  const port = await freePort();
  await using lossy = await startGateway({ redis });
  await using host = await inWorkerd(APP, {
    RELAY_URL: `ws://127.0.0.1:${port}/`,
    REDIS_URL: lossy.url,
    REDIS_TOKEN: lossy.token,
  });
  const away = await host.fetch("/amqp/signups/Ada", "POST");
  expect([away.status, await away.json()]).toEqual([503, { error: "broker-unreachable" }]);
  lossy.faults.silent(1000);
  const lost = await host.fetch("/redis/signups/Ada", "POST");
  expect([lost.status, await lost.json()]).toEqual([504, { error: "publish-unknown" }]);
  await using missing = await inWorkerd(APP, {});
  expect((await missing.fetch("/amqp/signups/Ada", "POST")).status).toBe(500);
}, 40_000);

test("a task that failed is told as such", async () => {
  const store = redisBackend(redis);
  open.push({ [Symbol.asyncDispose]: () => store.close() });
  const id = crypto.randomUUID();
  const text = JSON.stringify({
    status: "FAILURE",
    result: { exc_type: "ValueError", exc_message: ["no"], exc_module: "builtins" },
    traceback: null,
    children: [],
    date_done: null,
    task_id: id,
  });
  await store.store({ taskId: id, status: "FAILURE", text }, { ttl: 60_000 });
  const answer = await hosts.get("workerd")?.fetch(`/results/${id}`);
  expect([answer?.status, await answer?.json()]).toEqual([200, { id, state: "FAILURE" }]);
});

test("the twelve lines publish from workerd, and Python runs it", async () => {
  await using host = await inWorkerd("examples/edge/http.ts", {
    URL: settings["REDIS_URL"] ?? "",
    TOKEN: settings["REDIS_TOKEN"] ?? "",
  });
  const response = await host.fetch("/signups/Ada", "POST");
  expect(response.status).toBe(202);
  const { id } = await response.json() as { id: string };
  await using worker = startChild(PYTHON, [
    ...["-m", "celery", "-A", "signup", "worker", "-P", "solo", "-l", "info", "-n", "twelve@localhost"],
    ...["--without-mingle", "--without-gossip"],
  ], {
    cwd: `${ROOT}examples/edge`,
    env: { ...PYTHON_ENV, BROKER_URL: redis, RESULT_BACKEND: redis },
  });
  await worker.saw(new RegExp(`signup\\.welcome\\[${id}\\] succeeded`), 30_000);
}, 60_000);

test("the README shows the twelve lines", () => {
  const lines = readFileSync(`${ROOT}examples/edge/http.ts`, "utf8");
  expect(lines.trimEnd().split("\n")).toHaveLength(12);
  const readme = readFileSync(`${ROOT}README.md`, "utf8");
  expect(readme).toContain(lines.trimEnd());
});

test("wrangler builds it as its configuration says, without a warning", async () => {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-wrangler-"));
  cpSync(`${ROOT}examples/edge`, join(folder, "edge"), { recursive: true });
  symlinkSync(`${ROOT}node_modules`, join(folder, "node_modules"));
  try {
    const wrangler = `${ROOT}node_modules/wrangler/bin/wrangler.js`;
    await using child = startChild("node", [wrangler, "deploy", "--dry-run"], {
      cwd: join(folder, "edge"),
      env: { WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1", HOME: folder },
    });
    expect(await child.end, child.log).toBe("exit 0");
    expect(child.log).toMatch(/Total Upload: .* KiB/);
    expect(child.log).not.toContain("WARNING");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

test("no body of a task is in the bundle", async () => {
  for (const file of [APP, "examples/edge/http.ts"]) {
    const bundle = await bundleOf(file);
    expect(bundle).toContain("signup.welcome");
    expect(bundle).not.toContain("welcomes");
    expect(bundle).not.toMatch(/from "node:/);
  }
});
