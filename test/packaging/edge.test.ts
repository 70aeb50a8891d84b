import { AMQPClient } from "@cloudamqp/amqp-client";
import { Redis } from "ioredis";
import { Miniflare } from "miniflare";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { ROOT } from "../support/celeriac.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type Relay, startRelay } from "../support/relay.ts";
import { bundle } from "./bundle.ts";
import { fixtures, Packed, PEERS } from "./package.ts";
import { run } from "./run.ts";

/** The one that the tests in workerd bring: a newer one needs a newer Node. */
const WRANGLER = createRequire(`${ROOT}node_modules/@cloudflare/vitest-pool-workers/package.json`)
  .resolve("wrangler/bin/wrangler.js");

const DATE = "2026-04-01";
const QUEUE = `edge-package-${process.pid}`;

let packed: Packed;
let project: string;
let gateway: PrivateGateway;
let relay: Relay;
let redis: Redis;

beforeAll(async () => {
  packed = await Packed.make();
  project = await packed.unpack("edge", PEERS);
  const { hostname: host, port } = new URL(inject("amqp"));
  relay = await startRelay({ host, port: Number(port) });
  gateway = await startGateway({ redis: inject("redis") });
  redis = new Redis(inject("redis"));
}, 60_000);

afterAll(async () => {
  await Promise.all([relay[Symbol.asyncDispose](), gateway[Symbol.asyncDispose]()]);
  packed[Symbol.dispose]();
  await redis.del(QUEUE);
  redis.disconnect();
});

/** Takes what the function sent out of RabbitMQ, with the queue. */
async function inRabbit(): Promise<number> {
  const connection = await new AMQPClient(inject("amqp")).connect();
  const channel = await connection.channel();
  const { messageCount } = await channel.queueDelete(QUEUE);
  await connection.close();
  return messageCount;
}

/** Takes what the function sent out of Redis. */
async function inRedis(): Promise<number> {
  const length = await redis.llen(QUEUE);
  await redis.del(QUEUE);
  return length;
}

const FUNCTIONS = [
  ["a producer over HTTP", "edge-http.mjs", inRedis],
  ["a producer over WebSocket", "edge-websocket.mjs", inRabbit],
  ["the whole app, over both", "edge-app.mjs", inRabbit],
] as const;

describe.each(FUNCTIONS)("an edge function of the installed package: %s", (what, file, sent) => {
  test("bundles for the web, with its library and without Node, the command, the worker or TCP", async () => {
    fixtures(project, file);
    const { kept, imports, size } = await bundle(project, `export { default } from "./${file}";`);
    expect(imports).toEqual([]);
    expect(kept).toContain("src/errors.js");
    expect(kept.filter((path) => /src\/(cli|gateway|worker)\/|tcp|ioredis/.test(path))).toEqual([]);
    console.log(`${what}, libraries and all: ${size}`);
  });

  test("is taken by wrangler without nodejs_compat, and what comes of it publishes in workerd", async () => {
    const folder = join(project, file.slice(0, -4));
    mkdirSync(folder);
    fixtures(folder, file);
    const config = { name: "edge", main: file, compatibility_date: DATE };
    writeFileSync(join(folder, "wrangler.json"), JSON.stringify(config));
    const { log } = await run(process.execPath, [WRANGLER, "deploy", "--dry-run", "--outdir", "out"], {
      cwd: folder,
      env: { WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1", HOME: folder },
    });
    expect(log).toMatch(/Total Upload: .* KiB/);
    // A module of Node is a warning to wrangler, and an error when the worker runs.
    expect(log).not.toContain("WARNING");
    const contents = readFileSync(join(folder, "out", `${file.slice(0, -4)}.js`), "utf8");
    const worker = new Miniflare({
      modules: [{ type: "ESModule", path: "worker.mjs", contents }],
      compatibilityDate: DATE,
      bindings: { RELAY_URL: relay.url, HTTP_URL: gateway.url, HTTP_TOKEN: gateway.token, QUEUE },
    });
    try {
      const response = await worker.dispatchFetch("http://edge/");
      const text = await response.text();
      expect(text).toMatch(/^\{"id":"[0-9a-f-]{36}"/);
      expect(await sent()).toBe(1);
    } finally {
      await worker.dispose();
    }
  }, 60_000);
});
