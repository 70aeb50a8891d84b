import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { startProxy } from "../support/proxy.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bareClient, closing, DAY, placeOf, record, seen, through } from "./setup.ts";

/** In every secret of these tests; no text may hold it. */
const CANARY = "canary-7d1f";

let server: PrivateServer;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** How a call ended, and after how long. */
async function ended(call: Promise<unknown>): Promise<{ error: Error & { code?: string }; ms: number }> {
  const begun = performance.now();
  const error = await call.then((value) => {
    throw new Error(`it did not fail: ${String(value)}`);
  }, (reason: Error & { code?: string }) => reason);
  return { error, ms: performance.now() - begun };
}

/** Everything that a log could show of an error. */
function shown(error: Error): string {
  return `${error.message}\n${error.stack}\n${JSON.stringify(error)}\n${
    inspect(error, { depth: 20, showHidden: true })
  }`;
}

/** A server that takes connections and does with them what it is told. */
async function strangeServer(
  onConnection: (socket: Socket) => void,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const strange: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => strange.listen(0, "127.0.0.1", resolve));
  return {
    port: (strange.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => strange.close(resolve));
    },
  };
}

describe("a server that cannot be used", () => {
  test("a closed port is an error at once, with a stable code, for each call and for a watch", async () => {
    await using backend = closing(
      redisBackend(`redis://user:${CANARY}@127.0.0.1:1/0`, { pollInterval: "1h" }),
    );
    for (
      const call of [
        () => backend.load(["a"]),
        () => backend.forget(["a"]),
        () => backend.facts?.get("a") ?? Promise.resolve(),
        () => backend.facts?.put("a", CANARY, { ttl: DAY, ifAbsent: true }) ?? Promise.resolve(),
        () => seen(backend.watch(["a"])),
      ]
    ) {
      const { error, ms } = await ended(call());
      expect(error).toMatchObject({ name: "ConnectionError", code: "backend-unreachable" });
      expect(error.message).toContain("redis://user:***@127.0.0.1:1/0");
      expect(shown(error)).not.toContain(CANARY);
      expect(ms).toBeLessThan(3000);
    }
  });

  test("a result waits for a server that never was there, until commandTimeout", async () => {
    await using backend = closing(
      redisBackend(`redis://user:${CANARY}@127.0.0.1:1/0`, { commandTimeout: "600ms" }),
    );
    const { error, ms } = await ended(backend.store(record("a", "SUCCESS", CANARY), { ttl: DAY }));
    expect(error).toMatchObject({ name: "ConnectionError", code: "backend-unreachable" });
    expect(shown(error)).not.toContain(CANARY);
    expect(ms).toBeGreaterThan(500);
  });

  test("a host that does not exist is unreachable", async () => {
    await using backend = closing(redisBackend("redis://no-such-host.invalid/0"));
    expect((await ended(backend.load(["a"]))).error.code).toBe("backend-unreachable");
  });

  test.each([
    ["a wrong password", (port: number) => `redis://:${CANARY}@127.0.0.1:${port}/0`],
    ["a wrong user", (port: number) => `redis://nobody:${CANARY}@127.0.0.1:${port}/0`],
    ["no password at all", (port: number) => `redis://127.0.0.1:${port}/0`],
  ])("%s is refused credentials, and the text shows none", async (_name, url) => {
    await using locked = await startRedis();
    await using owner = bareClient(locked.url);
    await owner.config("SET", "requirepass", "right");
    await using backend = closing(redisBackend(url(locked.port)));
    for (const call of [() => backend.load(["a"]), () => seen(backend.watch(["a"]))]) {
      const { error } = await ended(call());
      expect(error).toMatchObject({ name: "ConnectionError", code: "backend-credentials-refused" });
      expect(shown(error)).not.toContain(CANARY);
    }
    await using right = closing(redisBackend(`redis://:right@127.0.0.1:${locked.port}/0`));
    expect(await right.load(["a"])).toEqual([undefined]);
  });

  test("a command that the user may not run is refused, and the text shows no payload", async () => {
    await using redis = bareClient(server.url);
    await redis.call("ACL", [
      "SETUSER",
      "reader",
      "on",
      ">pw",
      "~*",
      "&*",
      "+@read",
      "+ping",
      "+select",
      "+subscribe",
    ]);
    await using backend = closing(redisBackend(`redis://reader:pw@127.0.0.1:${server.port}/0`));
    expect(await backend.load(["a"])).toEqual([undefined]);
    const { error } = await ended(backend.store(record("a", "SUCCESS", CANARY), { ttl: DAY }));
    expect(error.code).toBe("backend-credentials-refused");
    expect(shown(error)).not.toContain(CANARY);
  });

  test("a database that does not exist is refused: nothing is written into another one", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url.replace(/0$/, "99")));
    const { error } = await ended(backend.store(record("wrong-db", "SUCCESS"), { ttl: DAY }));
    expect(error.code).toBe("backend-refused");
    expect(await redis.exists("celery-task-meta-wrong-db")).toBe(0);
  });

  test("a server that takes the connection and stays silent is given up after connectTimeout", async () => {
    await using strange = await strangeServer(() => {});
    await using backend = closing(
      redisBackend(`redis://:${CANARY}@127.0.0.1:${strange.port}`, { connectTimeout: "150ms" }),
    );
    const { error, ms } = await ended(backend.load(["a"]));
    expect(error.code).toBe("backend-timeout");
    expect(ms).toBeGreaterThanOrEqual(140);
    expect(ms).toBeLessThan(2000);
    expect(shown(error)).not.toContain(CANARY);
  });

  test.each<[string, (socket: Socket) => void]>([
    ["closes every connection", (socket) => socket.end()],
    ["resets every connection", (socket) => socket.resetAndDestroy()],
    ["speaks another protocol", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["speaks nonsense for ever", (socket) => socket.write("*1\r\n$5\r\nhello\r\n".repeat(100))],
    ["has too many clients", (socket) => socket.end("-ERR max number of clients reached\r\n")],
  ])("a server that %s is a coded error within the deadline", async (_name, onConnection) => {
    await using strange = await strangeServer(onConnection);
    await using backend = closing(
      redisBackend(`redis://127.0.0.1:${strange.port}`, { connectTimeout: "300ms", commandTimeout: "600ms" }),
    );
    for (const call of [() => backend.load(["a"]), () => seen(backend.watch(["a"]))]) {
      const { error, ms } = await ended(call());
      expect(error.code).toMatch(/^backend-(unreachable|timeout|refused|unavailable)$/);
      expect(ms).toBeLessThan(3000);
    }
  });

  test("TLS towards a server without it is a coded error", async () => {
    await using backend = closing(
      redisBackend(`rediss://:${CANARY}@127.0.0.1:${server.port}/0`, { connectTimeout: "1s" }),
    );
    const { error } = await ended(backend.load(["a"]));
    expect(error.code).toMatch(/^backend-(tls-refused|unreachable|timeout)$/);
    expect(shown(error)).not.toContain(CANARY);
  });
});

describe("a link that breaks", () => {
  test("calls made while the server restarts wait for it, and succeed", async () => {
    await using own = await startRedis();
    await using backend = closing(redisBackend(own.url));
    await backend.store(record("before", "SUCCESS"), { ttl: DAY });
    await own.kill9();
    const storing = backend.store(record("during", "SUCCESS"), { ttl: DAY });
    const loading = backend.load(["before"]);
    const watching = seen(backend.watch(["later"]));
    await own.start();
    expect(await storing).toBe("stored");
    expect((await loading)[0]?.status).toBe("SUCCESS");
    await backend.store(record("later", "SUCCESS"), { ttl: DAY });
    expect(await watching).toHaveLength(1);
  });

  test("a server that does not come back is a coded error at the deadline", async () => {
    await using own = await startRedis();
    await using backend = closing(redisBackend(own.url, { commandTimeout: "500ms" }));
    await backend.load(["a"]);
    await own.kill9();
    const { error, ms } = await ended(backend.load(["a"]));
    expect(error.code).toBe("backend-unreachable");
    expect(ms).toBeGreaterThan(400);
    expect(ms).toBeLessThan(3000);
  });

  test("a black hole: each call settles by its deadline, and after it everything works again", async () => {
    await using proxy = await startProxy(placeOf(server.url));
    await using backend = closing(
      redisBackend(through(server.url, proxy.port), { commandTimeout: "300ms", connectTimeout: "200ms" }),
    );
    const id = crypto.randomUUID();
    await backend.load([id]);
    for (const direction of ["up", "down", "both"] as const) {
      proxy.blackhole(direction);
      const calls = [
        backend.store(record(id, "STARTED"), { ttl: DAY }),
        backend.load([id]),
        backend.forget([id]),
        ...[backend.facts?.bump(id, { ttl: DAY }), backend.facts?.get(id)],
      ];
      for (const { error, ms } of await Promise.all(calls.map((call) => ended(call ?? Promise.resolve())))) {
        expect(error.code).toMatch(/^backend-(timeout|unreachable)$/);
        expect(ms).toBeLessThan(2000);
      }
      proxy.heal();
      proxy.cut();
      expect(await backend.store(record(id, "STARTED"), { ttl: DAY })).toBe("stored");
    }
    await backend.forget([id]);
  });

  test("a call's own deadline and signal end it earlier, and do not hurt the link of the others", async () => {
    await using proxy = await startProxy(placeOf(server.url));
    await using backend = closing(redisBackend(through(server.url, proxy.port)));
    const id = crypto.randomUUID();
    await backend.load([id]);
    proxy.blackhole("down");
    const patient = backend.store(record(id, "SUCCESS"), { ttl: DAY });
    const { error, ms } = await ended(backend.load([id], { deadline: Date.now() + 100 }));
    expect(error.code).toBe("backend-timeout");
    expect(ms).toBeLessThan(2000);
    const go = new AbortController();
    const aborted = backend.load([id], { signal: go.signal });
    go.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    proxy.heal();
    expect(await patient).toBe("stored");
    expect(proxy.connections).toBe(1);
    await backend.forget([id]);
  });

  test("cut while 500 stores are on their way: each settles, and each that says stored or kept is there", async () => {
    await using proxy = await startProxy(placeOf(server.url));
    await using backend = closing(redisBackend(through(server.url, proxy.port)));
    await using other = closing(redisBackend(server.url));
    await backend.load(["a"]);
    for (const direction of ["up", "down"] as const) {
      const ids = Array.from({ length: 500 }, () => crypto.randomUUID());
      let cuts = 0;
      proxy.onChunk = (way) => {
        if (way !== direction || cuts++ > 3) return;
        proxy.cut();
      };
      const words = await Promise.all(ids.map((id) => backend.store(record(id, "SUCCESS"), { ttl: DAY })));
      proxy.onChunk = undefined;
      expect(cuts).toBeGreaterThan(3);
      expect(words.every((word) => word === "stored" || word === "kept")).toBe(true);
      expect((await other.load(ids)).every((one) => one?.status === "SUCCESS")).toBe(true);
      await other.forget(ids);
    }
  });

  test("what may not happen twice is not sent again: a count whose answer was lost says so", async () => {
    await using proxy = await startProxy(placeOf(server.url));
    await using backend = closing(redisBackend(through(server.url, proxy.port)));
    await using other = closing(redisBackend(server.url));
    const key = crypto.randomUUID();
    await backend.facts?.bump(key, { ttl: DAY });
    proxy.onChunk = (way) => way === "down" ? proxy.cut() : undefined;
    const { error } = await ended(backend.facts?.bump(key, { ttl: DAY }) ?? Promise.resolve());
    proxy.onChunk = undefined;
    expect(error).toMatchObject({ code: "backend-unreachable", message: expect.stringContaining("or not") });
    expect(await other.facts?.get(key)).toBe("2");
    expect(await backend.facts?.bump(key, { ttl: DAY })).toBe(3);
  });

  test("a subscription that died silently is noticed while somebody waits, and made anew", async () => {
    await using redis = bareClient(server.url);
    await using proxy = await startProxy(placeOf(server.url));
    await using backend = closing(
      redisBackend(through(server.url, proxy.port), { pollInterval: "100ms", commandTimeout: "200ms" }),
    );
    const id = crypto.randomUUID();
    const channel = `celery-task-meta-${id}`;
    await redis.set(channel, record(id, "STARTED").text, "EX", 60);
    const watching = backend.watch([id])[Symbol.asyncIterator]();
    expect((await watching.next()).value).toMatchObject({ status: "STARTED" });
    const before = proxy.connections;
    proxy.blackhole("both");
    await until(() => proxy.connections >= before + 2, { what: "new connections" });
    proxy.heal();
    await redis.set(channel, record(id, "SUCCESS").text, "EX", 60);
    expect((await watching.next()).value).toMatchObject({ status: "SUCCESS" });
    await watching.return?.();
    await redis.del(channel);
  });

  test("in 200 cuts at random moments nothing is unhandled and every wait ends", async () => {
    await using proxy = await startProxy(placeOf(server.url));
    await using backend = closing(redisBackend(through(server.url, proxy.port), { pollInterval: "50ms" }));
    await using writer = closing(redisBackend(server.url));
    await backend.load(["a"]);
    const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
    await Promise.all(ids.map(async (id, index) => {
      const watching = seen(backend.watch([id]));
      for (let turn = 0; turn < index % 17; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (index % 2 === 0) proxy.cut();
      else proxy.rst();
      await writer.store(record(id, "SUCCESS"), { ttl: DAY });
      expect((await watching).at(-1)?.taskId).toBe(id);
    }));
    await writer.forget(ids);
  });
});
