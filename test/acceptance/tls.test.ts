/** TLS that becomes wrong while a worker runs: another certificate at the same place. */
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import { expect, inject, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { memoryBackend } from "../../adapters/memory/mod.ts";
import { Celery } from "../../mod.ts";
import { Worker } from "../../src/worker/worker.ts";
import { placeOf, through } from "../redis/setup.ts";
import { until } from "../support/wait.ts";
import { QUICK } from "./bench.ts";

const pem = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const RIGHT = { key: pem("../amqp/tls/server-key.pem"), cert: pem("../amqp/tls/server.pem") };
/** Signed by itself. */
const WRONG = { key: pem("../redis/fixtures/tls/key.pem"), cert: pem("../redis/fixtures/tls/cert.pem") };

/** Ends TLS before the broker; `sockets` are those of its clients. */
async function tlsBefore(url: string): Promise<{ server: Server; port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer(RIGHT, (client) => {
    const behind = connect(placeOf(url));
    for (const [one, other] of [[client, behind], [behind, client]] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
    sockets.add(client);
    client.once("close", () => sockets.delete(client));
  });
  // Clients that refuse our certificate.
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, sockets, port: (server.address() as AddressInfo).port };
}

test(
  "a certificate that is exchanged for a wrong one: health is red and says so, and green again with the right one",
  async () => {
    const proxy = await tlsBefore(inject("amqp"));
    const queue = `acceptance.tls.${crypto.randomUUID()}`;
    const lines: string[] = [];
    await using app = new Celery("tls", {
      broker: amqpBroker(through(inject("amqp"), proxy.port).replace("amqp:", "amqps:"), {
        ...QUICK,
        tls: { ca: pem("../amqp/tls/ca.pem"), servername: "localhost" },
      }),
      backend: memoryBackend(),
      taskDefaultQueue: queue,
      logger: {
        log: (level, message, fields) => void lines.push(`${level} ${message} (${String(fields?.["code"])})`),
      },
    });
    await using sender = new Celery("sender", {
      broker: amqpBroker(inject("amqp"), QUICK),
      taskDefaultQueue: queue,
    });
    app.task("t.add", { acksLate: true }, (x: number, y: number) => x + y);
    const worker = new Worker(app, { concurrency: 2 });
    const run = worker.run();
    let ended: unknown;
    run.then(() => ended = "stopped", (error: unknown) => ended = error);
    try {
      await until(() => worker.health().healthy, { what: "a worker that consumes", deadline: 20_000 });
      const one = await sender.sendTask("t.add", { args: [1, 2] });
      expect(await app.result(one.id).get({ timeout: 10 })).toBe(3);
      proxy.server.setSecureContext(WRONG);
      for (const socket of proxy.sockets) socket.destroy();
      await until(() => worker.health().reasons.some(({ code }) => code === "broker-tls"), {
        what: "the refusal in its health",
        deadline: 20_000,
        seen: () => JSON.stringify(worker.health()),
      });
      expect(worker.health().healthy).toBe(false);
      await until(
        () => lines.find((line) => /^error consumer: Cannot connect[^]*\(broker-tls\)$/.test(line)),
        {
          what: "a line of it",
          seen: () => lines.join("\n"),
        },
      );
      const two = await sender.sendTask("t.add", { args: [2, 3] });
      expect(ended).toBeUndefined();
      proxy.server.setSecureContext(RIGHT);
      await until(() => worker.health().healthy, { what: "green health", deadline: 20_000 });
      expect(await app.result(two.id).get({ timeout: 10 })).toBe(5);
      expect(ended).toBeUndefined();
    } finally {
      await worker.stop();
      await run.catch(() => {});
      proxy.server.close();
      for (const socket of proxy.sockets) socket.destroy();
    }
  },
  90_000,
);
