/** A sender that is killed with its message on the way to the broker, by process and proxy. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { redisBroker } from "../../adapters/redis/tcp.ts";
import type { Broker } from "../../mod.ts";
import { ROOT } from "../house/copy.ts";
import { placeOf, through } from "../redis/setup.ts";
import { bundleWorker } from "../support/bundle-worker.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";

// Inside the project: the bundle asks for the package that speaks HTTP.
const folder = mkdtempSync(join(ROOT, "node_modules", ".sender-"));
let script: string;
let gateway: PrivateGateway;

beforeAll(async () => {
  script = await bundleWorker(new URL("./sender.ts", import.meta.url), folder);
  gateway = await startGateway({ redis: inject("redis") });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Way {
  readonly url: () => string;
  /** Sees the queue. */
  readonly broker: () => Broker;
}

const WAYS: Readonly<Record<string, Way>> = {
  RabbitMQ: { url: () => inject("amqp"), broker: () => amqpBroker(inject("amqp")) },
  Redis: { url: () => inject("redis"), broker: () => redisBroker(inject("redis")) },
  HTTP: { url: () => gateway.url, broker: () => redisBroker(inject("redis")) },
};

/** Sends by a process of its own; what it said, and how it ended. */
async function send(
  proxy: Proxy,
  { dies, kind, queue }: { readonly dies: boolean; readonly kind: string; readonly queue: string },
): Promise<readonly [said: string, end: string]> {
  const id = crypto.randomUUID();
  const url = through(WAYS[kind]?.url() ?? "", proxy.port);
  const child = spawn(process.execPath, [script, kind, url, queue, id], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => said += String(chunk));
  proxy.onChunk = (direction, bytes) => {
    if (!dies || direction !== "up" || !Buffer.from(bytes).includes(id)) return;
    // The message is on the way, and gets no further.
    proxy.blackhole("up");
    child.kill("SIGKILL");
  };
  const end = await new Promise<string>((resolve) =>
    child.once("close", (code, signal) => resolve(signal ?? `exit ${code}`))
  );
  proxy.onChunk = undefined;
  proxy.cut();
  proxy.heal();
  return [said, end];
}

test.each(Object.keys(WAYS))(
  "%s: what a sender had not yet brought to the broker when it was killed is nowhere, and nobody was told that it was sent",
  async (kind) => {
    const way = WAYS[kind] as Way;
    const broker = way.broker();
    await using proxy = await startProxy(placeOf(way.url()));
    const queue = `sender-${crypto.randomUUID()}`;
    try {
      expect(await send(proxy, { kind, queue, dies: true })).toEqual(["", "SIGKILL"]);
      expect(await broker.count(queue)).toBe(0);
      // So it is seen where one lives.
      expect(await send(proxy, { kind, queue, dies: false })).toEqual(["sent\n", "exit 0"]);
      expect(await broker.count(queue)).toBe(1);
      await broker.purge(queue);
    } finally {
      await broker.close();
    }
  },
  60_000,
);
