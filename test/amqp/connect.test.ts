/**
 * Connecting: one clear coded error for each way in which it can fail, by a deadline, without a secret.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, inject, test } from "vitest";
import { amqpBroker, type AmqpTcpOptions } from "../../adapters/amqp/tcp.ts";
import { ConnectionError } from "../../src/errors.ts";
import { everything, kinds, Rig, task, urlWith } from "./rig.ts";

const USER = "canary-user-5417";
const PASSWORD = "canary-p@ss/w:rd-9931";
const pem = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url)), "utf8");

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

/** A server that does to each connection what `greet` says; its port. */
async function serve(
  greet: (socket: Socket) => void,
  create: typeof createServer = createServer,
): Promise<number> {
  const server = create((socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    greet(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** RabbitMQ behind TLS that ends here. */
async function tlsPort(): Promise<number> {
  const { hostname, port } = new URL(inject("amqp"));
  const create = ((listener: (socket: Socket) => void) =>
    createTlsServer(
      { key: pem("server-key"), cert: pem("server") },
      listener,
    )) as unknown as typeof createServer;
  return await serve((socket) => {
    const onward = connect(Number(port), hostname);
    sockets.add(onward);
    onward.on("error", () => socket.destroy());
    onward.on("close", () => socket.destroy());
    socket.on("close", () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  }, create);
}

async function failure(url: string, options: AmqpTcpOptions = {}): Promise<ConnectionError> {
  const broker = amqpBroker(url, options);
  try {
    await broker.connect();
  } catch (error) {
    expect(everything(error)).not.toMatch(/canary|p%40ss/);
    expect(error).toBeInstanceOf(ConnectionError);
    return error as ConnectionError;
  } finally {
    await broker.close();
  }
  throw new Error("it connected");
}

const secretUrl = (host: string, path = "/"): string =>
  `amqp://${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}@${host}${path}`;

describe("A11: connecting", () => {
  test("to a closed port is broker-unreachable", async () => {
    const port = await serve(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const error = await failure(secretUrl(`127.0.0.1:${port}`));
    expect(error.code).toBe("broker-unreachable");
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(error.cause).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("to a host that does not exist is broker-unreachable", async () => {
    expect((await failure(secretUrl("broker.invalid"))).code).toBe("broker-unreachable");
  });

  test("with wrong credentials is broker-credentials-refused", async () => {
    const error = await failure(urlWith({ username: USER, password: PASSWORD }));
    expect(error.code).toBe("broker-credentials-refused");
  });

  test("to a virtual host that does not exist is broker-vhost-missing and names it", async () => {
    const error = await failure(urlWith({ path: "/no-such-vhost" }));
    expect(error.code).toBe("broker-vhost-missing");
    expect(error.message).toContain("no-such-vhost");
  });

  test.each([
    ["a web server", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["a broker of another protocol", "AMQP\u0003\u0001\u0000\u0000"],
    ["a TLS port", "\u0015\u0003\u0003\u0000\u0002\u0002\u0046"],
    ["half a frame and then garbage", "\u0001\u0000\u0000\u7fff\u7fff\u7fff\u7fff garbage"],
  ])("to %s is broker-protocol", async (_who, answer) => {
    const port = await serve((socket) => socket.once("data", () => socket.write(answer, "latin1")));
    expect((await failure(secretUrl(`127.0.0.1:${port}`))).code).toBe("broker-protocol");
  });

  test("to a server that accepts and stays silent ends by connectTimeout as broker-timeout", async () => {
    const port = await serve(() => {});
    const started = performance.now();
    const error = await failure(secretUrl(`127.0.0.1:${port}`), { connectTimeout: "150ms" });
    expect(error.code).toBe("broker-timeout");
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test("to a server that accepts and hangs up is broker-unreachable, a hundred times and at once", async () => {
    const port = await serve((socket) => socket.end());
    const started = performance.now();
    for (let i = 0; i < 100; i++) {
      expect((await failure(secretUrl(`127.0.0.1:${port}`))).code).toBe("broker-unreachable");
    }
    expect(performance.now() - started).toBeLessThan(4000);
  });

  test("ends by the caller's deadline or abort", async () => {
    const port = await serve(() => {});
    const broker = amqpBroker(secretUrl(`127.0.0.1:${port}`));
    await expect(broker.connect({ deadline: Date.now() + 50 })).rejects.toMatchObject({
      code: "broker-timeout",
    });
    const stop = new AbortController();
    const connecting = broker.connect({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(connecting).rejects.toThrow("enough");
    await broker.close();
  });

  test("that is cut after each chunk of the handshake fails with a code, and the next attempt works", async () => {
    await using rig = await Rig.start();
    const codes = new Map<string, number>();
    for (let cutAt = 1; cutAt <= 8; cutAt++) {
      let seen = 0;
      rig.proxy.onChunk = () => {
        if (++seen === cutAt) rig.proxy.cut();
      };
      const broker = rig.broker();
      const error = await broker.connect().then(() => undefined, (caught: unknown) => caught);
      rig.proxy.onChunk = undefined;
      // header, start, start-ok, tune, tune-ok with open, open-ok: six chunks, or one more where the second last is split.
      if (cutAt <= 6) expect(error).toMatchObject({ code: "broker-unreachable" });
      const code = error === undefined ? "connected" : (error as ConnectionError).code;
      codes.set(code, (codes.get(code) ?? 0) + 1);
      await broker.close();
      await broker.connect();
      await broker.close();
    }
    expect([...codes.keys()].sort()).toEqual(["broker-unreachable", "connected"]);
  });

  test("that is silent after each chunk of the handshake ends by connectTimeout", async () => {
    await using rig = await Rig.start();
    for (let at = 1; at <= 6; at++) {
      let seen = 0;
      rig.proxy.onChunk = () => {
        if (++seen === at) rig.proxy.blackhole("both");
      };
      const broker = rig.broker({ connectTimeout: "100ms" });
      await expect(broker.connect()).rejects.toMatchObject({ code: "broker-timeout" });
      rig.proxy.onChunk = undefined;
      rig.proxy.heal();
      await broker.close();
    }
  });

  test("works when the network gives one byte at a time", async () => {
    await using rig = await Rig.start();
    rig.proxy.slice(1);
    const broker = rig.broker();
    const queue = await rig.queue();
    expect(kinds(await broker.publish([task(queue, "x".repeat(2000))]))).toEqual(["confirmed"]);
    const consumer = broker.consume([queue], { prefetch: 1 });
    for await (const delivery of consumer) {
      expect(delivery.message.body).toHaveLength(2000);
      await delivery.settle({ as: "ack" });
      break;
    }
    await consumer.stop();
    expect(await broker.count(queue)).toBe(0);
  });
});

describe("a failover list", () => {
  test("is tried in turn, and the one that works is kept", async () => {
    const dead = await serve((socket) => socket.destroy());
    const alive = new URL(inject("amqp")).host;
    const broker = amqpBroker([urlWith({ host: `127.0.0.1:${dead}` }), urlWith({ host: alive })]);
    await broker.connect();
    await broker.close();
  });

  test("fails with the last one's error when none works", async () => {
    const dead = await serve((socket) => socket.destroy());
    const error = await failure(`${secretUrl(`127.0.0.1:${dead}`)};${urlWith({ path: "/no-such-vhost" })}`);
    expect(error.code).toBe("broker-vhost-missing");
  });
});

describe("two links at once on a failover list", () => {
  test.each(["round-robin", "shuffle"] as const)(
    "both find the one that works within their first round, %s",
    async (failover) => {
      const dead = await serve((socket) => socket.destroy());
      const alive = new URL(inject("amqp")).host;
      for (let turn = 0; turn < 5; turn++) {
        const urls = [`127.0.0.1:${dead}`, "127.0.0.1:1", alive].map((host) => urlWith({ host }));
        const broker = amqpBroker(urls, { failover });
        const downs: string[] = [];
        broker.observe((event) => void (event.is === "down" && downs.push(event.error.message)));
        const consumer = broker.consume([`no.${crypto.randomUUID()}`], { prefetch: 1 });
        const refused = consumer[Symbol.asyncIterator]().next().catch((error: unknown) => error);
        await broker.connect();
        expect(await refused).toMatchObject({ code: "queue-missing" });
        expect(downs).toEqual([]);
        await broker.close();
      }
    },
  );

  test("an unknown strategy is an error", () => {
    expect(() => amqpBroker("amqp://h", { failover: "random" as "shuffle" })).toThrow(/failover/);
  });
});

describe("TLS", () => {
  test("stands with a certificate of the authority that we trust", async () => {
    const port = await tlsPort();
    const url = urlWith({ host: `localhost:${port}` }).replace("amqp:", "amqps:");
    // The certificate is for "localhost", although 127.0.0.1 is dialled.
    const broker = amqpBroker(url, { tls: { ca: pem("ca") } });
    await broker.connect();
    expect(kinds(await broker.publish([task(`no-queue-${port}`)]))).toEqual(["unroutable"]);
    await broker.close();
  });

  test("refuses an unknown authority as broker-tls", async () => {
    const port = await tlsPort();
    const url = secretUrl(`localhost:${port}`).replace("amqp:", "amqps:");
    expect((await failure(url)).code).toBe("broker-tls");
  });

  test("refuses a certificate of another name as broker-tls", async () => {
    const port = await tlsPort();
    const url = secretUrl(`localhost:${port}`).replace("amqp:", "amqps:");
    expect((await failure(url, { tls: { ca: pem("ca"), servername: "other.test" } })).code).toBe(
      "broker-tls",
    );
  });

  test("towards a port that speaks none is broker-tls", async () => {
    const url = secretUrl(new URL(inject("amqp")).host).replace("amqp:", "amqps:");
    expect((await failure(url)).code).toBe("broker-tls");
  });

  test("unverified only when asked for", async () => {
    const port = await tlsPort();
    const url = urlWith({ host: `localhost:${port}` }).replace("amqp:", "amqps:");
    const broker = amqpBroker(url, { tls: { rejectUnauthorized: false } });
    await broker.connect();
    await broker.close();
  });

  test("towards no port at all is broker-unreachable", async () => {
    const port = await serve(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect((await failure(secretUrl(`127.0.0.1:${port}`).replace("amqp:", "amqps:"))).code).toBe(
      "broker-unreachable",
    );
  });
});
