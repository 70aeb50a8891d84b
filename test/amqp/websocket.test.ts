/**
 * AMQP over WebSocket: connecting, what a relay may do to the bytes, what a runtime may do to the events.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, describe, expect, inject, test, vi } from "vitest";
import { WebSocket } from "ws";
import {
  amqpBroker,
  type AmqpWebSocketOptions,
  type WebSocketConstructor,
  type WebSocketEvent,
} from "../../adapters/amqp/websocket.ts";
import { amqpBroker as direct } from "../../adapters/amqp/tcp.ts";
import { ConnectionError } from "../../src/errors.ts";
import { startHostileRelay } from "../support/hostile-relay.ts";
import { freePort } from "../support/ports.ts";
import { startRelay } from "../support/relay.ts";
import { until } from "../support/wait.ts";
import { consuming, events, everything, kinds, take, task } from "./rig.ts";
import { CANARY, counted, over, OWN, PASSWORD, secretUrl, server, USER } from "./websocket-rig.ts";

const pem = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url)), "utf8");

async function failure(url: string, options: AmqpWebSocketOptions = {}): Promise<ConnectionError> {
  const broker = over(url, options);
  try {
    await broker.connect();
  } catch (error) {
    expect(everything(error)).not.toMatch(CANARY);
    expect(error).toBeInstanceOf(ConnectionError);
    return error as ConnectionError;
  } finally {
    await broker.close();
  }
  throw new Error("it connected");
}

/** A queue that goes away by itself, and its messages asked past the relay. */
async function withQueue(use: (queue: string, count: () => Promise<number>) => Promise<void>): Promise<void> {
  const outside = direct(inject("amqp"));
  const queue = `celeriac.test.${crypto.randomUUID()}`;
  const entity = { kind: "queue", name: queue, durable: true, exclusive: false, autoDelete: false } as const;
  try {
    await outside.declare([{ ...entity, arguments: { "x-expires": 60_000 } }]);
    await use(queue, () => outside.count(queue));
  } finally {
    await outside.close();
  }
}

describe("connecting", () => {
  test("to a closed port is broker-unreachable", async () => {
    const port = await freePort();
    const error = await failure(secretUrl(`ws://127.0.0.1:${port}`));
    expect(error.code).toBe("broker-unreachable");
    expect(error.message).toContain(`127.0.0.1:${port}`);
  });

  test("to a host that does not exist is broker-unreachable", async () => {
    expect((await failure(secretUrl("ws://relay.invalid"))).code).toBe("broker-unreachable");
  });

  test.each([401, 404, 502])("to a relay that answers %d is broker-unreachable", async (upgrade) => {
    await using relay = await startHostileRelay({ ...server, upgrade });
    const error = await failure(secretUrl(relay.url));
    expect(error.code).toBe("broker-unreachable");
    console.log(`${inject("runtime")}, HTTP ${upgrade}: ${error.message}`);
  });

  test("to a relay whose broker is down is broker-unreachable", async () => {
    await using relay = await startRelay({ host: "127.0.0.1", port: await freePort() });
    expect((await failure(secretUrl(relay.url))).code).toBe("broker-unreachable");
  });

  test("with wrong credentials is broker-credentials-refused", async () => {
    await using relay = await startRelay(server);
    const options = { username: USER, password: PASSWORD };
    expect((await failure(relay.url, options)).code).toBe("broker-credentials-refused");
    expect((await failure(secretUrl(relay.url))).code).toBe("broker-credentials-refused");
  });

  test("to a virtual host that does not exist is broker-vhost-missing and names it", async () => {
    await using relay = await startRelay(server);
    const error = await failure(`${relay.url}/?vhost=no-such-vhost`);
    expect(error.code).toBe("broker-vhost-missing");
    expect(error.message).toContain("no-such-vhost");
  });

  test.each([["text", "sends text"], ["garbage", "a frame of type 72"]] as const)(
    "to a relay that sends %s is broker-protocol",
    async (fault, says) => {
      for (const method of ["10.10", "10.30"]) {
        const relay = await startHostileRelay({
          ...server,
          fault: (_way, seen) => seen === method ? fault : undefined,
        });
        const error = await failure(secretUrl(relay.url));
        await relay[Symbol.asyncDispose]();
        if (method === "10.30" && error.code === "broker-credentials-refused") continue;
        expect(error.code).toBe("broker-protocol");
        expect(error.message).toContain(says);
      }
    },
  );

  test("ends by the caller's deadline or abort", async () => {
    await using relay = await startHostileRelay({ ...server, upgrade: "silent" });
    const broker = over(relay.url, { connectTimeout: "300ms" });
    await expect(broker.connect({ deadline: Date.now() + 50 })).rejects.toMatchObject({
      code: "broker-timeout",
    });
    const stop = new AbortController();
    const connecting = broker.connect({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(connecting).rejects.toThrow("enough");
    await broker.close();
    await until(() => relay.live === 0, { what: "the attempt to end by its own deadline" });
  });

  test("a failover list is tried in turn", async () => {
    await using relay = await startRelay(server);
    const broker = over(`ws://127.0.0.1:${await freePort()}/;${relay.url}`);
    await broker.connect();
    await broker.close();
  });

  test("nothing is told after a close", async () => {
    await using relay = await startHostileRelay(server);
    const clock = counted();
    const broker = over(relay.url, { platform: clock.platform });
    const seen = events(broker);
    await broker.connect();
    await broker.close();
    await until(() => relay.live === 0, { what: "the socket's end" });
    expect(seen).toEqual([{ is: "up", link: "publish" }]);
    expect(clock.armed).toBe(0);
  });
});

describe("what the relay sees", () => {
  test("is path and query as they are written, and no credentials", async () => {
    await using relay = await startHostileRelay(server);
    const url = `${relay.url.replace("://", "://guest:guest@")}/a%20path/x?vhost=%2F&b=%2f+&token=t`;
    const broker = over(url);
    await broker.connect();
    await broker.close();
    expect(relay.requests[0]).toBe("GET /a%20path/x?b=%2f+&token=t HTTP/1.1");
    expect(relay.requests.join("\n")).not.toMatch(/authorization|guest|vhost|sec-websocket-protocol/i);
  });

  test("is the sub-protocol that it insists on", async () => {
    await using relay = await startHostileRelay({ ...server, protocol: "amqp" });
    expect((await failure(relay.url)).code).toBe("broker-unreachable");
    for (const protocols of ["amqp", ["binary", "amqp"]]) {
      const broker = over(relay.url, { protocols });
      await broker.connect();
      await broker.close();
    }
  });

  test("are messages of at most 16 kB, whatever is sent", async () => {
    await using relay = await startHostileRelay(server);
    const broker = over(relay.url);
    const bodies = ["x".repeat(3_000_000), ..."ab".repeat(100)];
    const verdicts = await broker.publish(
      bodies.map((body) => ({ ...task("nowhere", body), mustRoute: false })),
    );
    expect(new Set(kinds(verdicts))).toEqual(new Set(["confirmed"]));
    await broker.close();
    expect(relay.largest).toBe(16_384);
  });
});

describe("pieces", () => {
  test("of any size, 1 to 8 bytes among them, and frames that come together: every message arrives whole", async () => {
    const coverage = { runs: 0, small: 0, bytes: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 300 })), {
          minLength: 1,
          maxLength: 20,
        }),
        fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 5 }),
        async (sizes, lengths) => {
          let at = 0;
          const chunk = (): number => sizes[at++ % sizes.length] ?? 1;
          await using relay = await startHostileRelay({ ...server, chunk });
          coverage.runs++;
          if (Math.max(...sizes) <= 8) coverage.small++;
          await roundTrip(relay.url, lengths);
          coverage.bytes += lengths.reduce((sum, length) => sum + length, 0);
        },
      ),
      { numRuns: 25, examples: [1, 2, 3, 4, 5, 6, 7, 8].map((size) => [[size], [0, 1, 700]]) },
    );
    console.log(`pieces: ${JSON.stringify(coverage)}`);
    expect(coverage.small).toBeGreaterThanOrEqual(8);
  });

  test.each([1, 7])("of %d bytes from a real relay", async (chunk) => {
    await using relay = await startRelay({ ...server, chunk });
    await roundTrip(relay.url, [0, 10, 2000]);
  });

  test("as Blobs and views, whatever the runtime was told, in their order", async () => {
    let given = 0;
    class Unruly extends WebSocket {
      override addEventListener(type: never, listener: never): void {
        const hear = listener as (event: WebSocketEvent) => void;
        const told = (event: WebSocketEvent): void => {
          const bytes = event.data as ArrayBuffer;
          const padded = new Uint8Array(bytes.byteLength + 9);
          padded.set(new Uint8Array(bytes), 4);
          const view = padded.subarray(4, 4 + bytes.byteLength);
          const data = [bytes, view, new Blob([bytes]), view][given++ % 4];
          hear({ type, data });
        };
        super.addEventListener(type, (type === "message" ? told : hear) as never);
      }
    }
    await using relay = await startHostileRelay({ ...server, chunk: () => 100 });
    await roundTrip(relay.url, [0, 1, 100, 5000], { webSocket: Unruly as unknown as WebSocketConstructor });
    expect(given).toBeGreaterThan(20);
  });

  /** Publishes and consumes messages of these lengths. */
  async function roundTrip(
    url: string,
    lengths: readonly number[],
    options: AmqpWebSocketOptions = {},
  ): Promise<void> {
    await withQueue(async (queue, count) => {
      const broker = over(url, options);
      const bodies = lengths.map((length) => "é".repeat(length / 2).padEnd(length, "."));
      expect(new Set(kinds(await broker.publish(bodies.map((body) => task(queue, body)))))).toEqual(
        new Set(["confirmed"]),
      );
      const consumer = broker.consume([queue], { prefetch: 10 });
      const deliveries = await take(consumer, bodies.length);
      expect(deliveries.map(({ message }) => new TextDecoder().decode(message.body))).toEqual(bodies);
      for (const delivery of deliveries) await delivery.settle({ as: "ack" });
      await broker.close();
      expect(await count()).toBe(0);
    });
  }
});

describe("silence behind a relay", () => {
  test("is noticed within 2.5 heartbeats by both links, while one writes into it", async () => {
    await using relay = await startRelay(server);
    await withQueue(async (queue) => {
      const broker = over(relay.url, { heartbeat: "1s", connectTimeout: "1s" });
      const seen = events(broker);
      const consumer = broker.consume([queue], { prefetch: 1 });
      await consuming(consumer);
      expect(kinds(await broker.publish([task(queue)]))).toEqual(["confirmed"]);
      const started = performance.now();
      relay.proxy.blackhole("both");
      const pending: Promise<unknown>[] = [];
      const silent = (): unknown[] =>
        seen.filter((event) => event.is === "down" && event.error.message.includes("silent"));
      await until(() => {
        pending.push(broker.publish([task(queue)], { deadline: Date.now() + 4000 }));
        return silent().length >= 2;
      }, { what: "news of the silence", every: 100 });
      const took = performance.now() - started;
      console.log(`silence behind a relay noticed after ${took.toFixed(0)} ms at a heartbeat of 1000 ms`);
      expect(took).toBeLessThan(2500 + 500);
      relay.proxy.heal();
      relay.cut();
      await Promise.all(pending);
      await until(async () => kinds(await broker.publish([task(queue)]))[0] === "confirmed", {
        what: "recovery",
      });
      await broker.close();
    });
  });

  test("of ours alone never lets the broker take us for dead", async () => {
    await using relay = await startRelay(server);
    const broker = over(relay.url, { heartbeat: "1s" });
    const seen = events(broker);
    const queue = `inbox.${crypto.randomUUID()}`;
    // Receives all the time and acks nothing: the library alone would have no heartbeat to echo.
    const subscription = broker.subscribe({ queue });
    await subscription.ready;
    const outside = direct(inject("amqp"));
    const end = Date.now() + 4500;
    let count = 0;
    for await (const _ of subscription_(async () => await outside.publish([task(queue)]))) {
      count++;
      if (Date.now() >= end) break;
    }
    await outside.close();
    await broker.close();
    expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
    expect(count).toBeGreaterThan(15);

    /** Deliveries, with the next message sent 200 ms after each. */
    async function* subscription_(send: () => Promise<unknown>): AsyncGenerator<unknown> {
      await send();
      for await (const delivery of subscription) {
        yield delivery;
        await new Promise((resolve) => setTimeout(resolve, 200));
        await send();
      }
    }
  });
});

describe("the WebSocket", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test("missing is told with what to do, and as a verdict too", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const broker = amqpBroker("ws://127.0.0.1:1/");
    await expect(broker.connect()).rejects.toMatchObject({
      code: "websocket-missing",
      hint: expect.stringContaining("npm install ws"),
    });
    const [verdict] = await broker.publish([task("q")]);
    expect(verdict).toMatchObject({ is: "refused", reason: expect.stringContaining("npm install ws") });
    await broker.close();
  });

  test("that cannot even be made is broker-unreachable, without the URL", async () => {
    class Broken {
      constructor(url: string) {
        throw new SyntaxError(`The URL '${url}' is invalid.`);
      }
    }
    const webSocket = Broken as unknown as WebSocketConstructor;
    const error = await failure(secretUrl("ws://127.0.0.1:1"), { webSocket });
    expect(error.code).toBe("broker-unreachable");
  });

  test("may be the runtime's own, where it has one", async () => {
    if (typeof globalThis.WebSocket === "undefined") return expect(OWN.webSocket).toBe(WebSocket);
    await using relay = await startRelay(server);
    const broker = amqpBroker(relay.url);
    await broker.connect();
    await broker.close();
  });

  test("of Node's package may be taken everywhere", async () => {
    await using relay = await startRelay(server);
    const broker = over(relay.url, { webSocket: WebSocket });
    await broker.connect();
    await broker.close();
  });
});

describe("TLS", () => {
  /** A relay behind TLS that ends here. */
  async function tlsRelay(): Promise<{ port: number } & AsyncDisposable> {
    const relay = await startRelay(server);
    const sockets = new Set<Socket>();
    const front = createTlsServer({ key: pem("server-key"), cert: pem("server") }, (socket) => {
      const onward = connect(relay.port, "127.0.0.1");
      for (const each of [socket, onward]) sockets.add(each.on("error", () => {}));
      socket.on("close", () => onward.destroy());
      onward.on("close", () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
    front.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
    return {
      port: (front.address() as AddressInfo).port,
      async [Symbol.asyncDispose]() {
        front.close();
        for (const socket of sockets) socket.destroy();
        await relay[Symbol.asyncDispose]();
      },
    };
  }

  test("with a certificate that nobody vouches for is broker-tls", async () => {
    await using front = await tlsRelay();
    const error = await failure(secretUrl(`wss://localhost:${front.port}`));
    console.log(`${inject("runtime")}, unknown authority: ${error.message}`);
    // Node's own WebSocket, from 22 on, does not say why.
    const silent = inject("runtime") === "node" && OWN.webSocket === undefined;
    expect(error.code).toBe(silent ? "broker-unreachable" : "broker-tls");
  });

  test("towards a port that speaks none is an error with a code", async () => {
    await using relay = await startRelay(server);
    const error = await failure(secretUrl(`wss://127.0.0.1:${relay.port}`));
    expect(["broker-tls", "broker-unreachable"]).toContain(error.code);
  });

  test("stands with an authority that we trust, by a class of one's own", async () => {
    class Trusting extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols, { ca: pem("ca") });
      }
    }
    await using front = await tlsRelay();
    const broker = over(`wss://localhost:${front.port}`, { webSocket: Trusting });
    await broker.connect();
    await broker.close();
  });
});
