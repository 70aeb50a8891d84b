import { inject } from "vitest";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bareClient, closing, DAY, record, seen } from "./setup.ts";

/** A server of the file's own, because its pub/sub connections are counted and killed. */
let server: PrivateServer;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function listeners(redis: Redis, id: string): Promise<number> {
  const answer = await redis.pubsub("NUMSUB", `celery-task-meta-${id}`);
  return Number(answer[1]);
}

async function pubsubConnections(redis: Redis): Promise<number> {
  const list = String(await redis.call("CLIENT", ["LIST", "TYPE", "PUBSUB"]));
  return list.split("\n").filter((line) => line !== "").length;
}

/** Pauses long enough that no poll happens within a test: only pub/sub can tell. */
const NO_POLL = { pollInterval: "1h" } as const;

describe("watch", () => {
  test("is told by pub/sub, without a poll", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, NO_POLL));
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    for (const status of ["STARTED", "PROGRESS", "SUCCESS"]) {
      await backend.store(record(id, status), { ttl: DAY });
    }
    expect((await watching).map(({ status }) => status)).toEqual(["STARTED", "PROGRESS", "SUCCESS"]);
    await until(async () => await listeners(redis, id) === 0, { what: "the end of the subscription" });
  });

  test("what is stored already is read as soon as it listens, also by one who comes later", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, NO_POLL));
    const id = crypto.randomUUID();
    await backend.store(record(id, "STARTED"), { ttl: DAY });
    const stay = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    expect(await seen(backend.watch([id]), "STARTED")).toEqual([record(id, "STARTED")]);
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    expect(await stay).toEqual([record(id, "STARTED"), record(id, "SUCCESS")]);
    expect(await seen(backend.watch([id]))).toEqual([record(id, "SUCCESS")]);
  });

  test("all waits of a backend share one connection, and each id is subscribed once", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, NO_POLL));
    const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
    const before = await pubsubConnections(redis);
    const watching = [...ids, ...ids].map((id) => seen(backend.watch([id])));
    await until(async () => await listeners(redis, ids[199] ?? "") === 1, { what: "the subscriptions" });
    expect(await pubsubConnections(redis) - before).toBe(1);
    expect(await Promise.all(ids.map((id) => listeners(redis, id)))).toEqual(ids.map(() => 1));
    await Promise.all(ids.map((id) => backend.store(record(id, "SUCCESS"), { ttl: DAY })));
    expect((await Promise.all(watching)).map(([one]) => one?.taskId)).toEqual([...ids, ...ids]);
    await until(
      async () => (await Promise.all(ids.map((id) => listeners(redis, id)))).every((count) => count === 0),
      {
        what: "the end of the subscriptions",
      },
    );
  });

  test("one that leaves does not end the wait of another one for the same id", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, NO_POLL));
    const id = crypto.randomUUID();
    const stay = seen(backend.watch([id]));
    const go = new AbortController();
    const leaving = seen(backend.watch([id], { signal: go.signal }));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    go.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    expect(await stay).toHaveLength(1);
  });

  test("a message that is lost delays by the poll interval at most", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, { pollInterval: "200ms" }));
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    const begun = performance.now();
    // A writer that does not announce, as some other clients of Celery do.
    await redis.set(`celery-task-meta-${id}`, record(id, "SUCCESS").text, "EX", 60);
    expect(await watching).toHaveLength(1);
    expect(performance.now() - begun).toBeLessThan(1500);
  });

  test("A23: with pub/sub cut again and again, each wait resolves within the poll interval", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, { pollInterval: "300ms" }));
    const ids = Array.from({ length: 10 }, () => crypto.randomUUID());
    const watching = ids.map((id) => seen(backend.watch([id])));
    await until(async () => await listeners(redis, ids[9] ?? "") === 1, { what: "the subscriptions" });
    const times: number[] = [];
    for (const [index, id] of ids.entries()) {
      await redis.call("CLIENT", ["KILL", "TYPE", "pubsub"]);
      const begun = performance.now();
      await backend.store(record(id, "SUCCESS", index), { ttl: DAY });
      await watching[index];
      times.push(performance.now() - begun);
    }
    // The machine is shared: a margin for its other work.
    expect(Math.max(...times)).toBeLessThan(300 + 1000);
  });

  test("after a cut the subscription comes back by itself, and what was missed is read at once", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, NO_POLL));
    const [missed, later] = [crypto.randomUUID(), crypto.randomUUID()];
    const watching = [missed, later].map((id) => seen(backend.watch([id])));
    await until(async () => await listeners(redis, later) === 1, { what: "the subscriptions" });
    await redis.multi().call("CLIENT", ["KILL", "TYPE", "pubsub"])
      .set(`celery-task-meta-${missed}`, record(missed, "SUCCESS").text, "EX", 60)
      .publish(`celery-task-meta-${missed}`, record(missed, "SUCCESS").text).exec();
    expect(await watching[0]).toHaveLength(1);
    await until(async () => await listeners(redis, later) === 1, { what: "the subscription" });
    await backend.store(record(later, "SUCCESS"), { ttl: DAY });
    expect(await watching[1]).toHaveLength(1);
  });

  test("a user who may not subscribe still gets results, by the poll", async () => {
    await using redis = bareClient(server.url);
    await redis.call("ACL", ["SETUSER", "deaf", "on", ">pw", "~*", "resetchannels", "+@all", "-subscribe"]);
    await using writer = closing(redisBackend(server.url));
    await using backend = closing(
      redisBackend(server.url.replace("redis://", "redis://deaf:pw@"), { pollInterval: "100ms" }),
    );
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    await writer.store(record(id, "STARTED"), { ttl: DAY });
    await writer.store(record(id, "SUCCESS"), { ttl: DAY });
    expect((await watching).at(-1)?.status).toBe("SUCCESS");
  });

  test("the same text is not yielded twice in a row, however often it is stored or read", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, { pollInterval: "20ms" }));
    const id = crypto.randomUUID();
    const texts: string[] = [];
    const watching = (async () => {
      for await (const one of backend.watch([id])) {
        texts.push(one.text);
        if (one.status === "SUCCESS") return;
      }
    })();
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    for (let index = 0; index < 10; index++) {
      await backend.store(record(id, "PROGRESS", Math.floor(index / 5)), { ttl: DAY });
      const reads = await redis.info("commandstats");
      await until(async () => await redis.info("commandstats") !== reads, { what: "another poll" });
    }
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    await watching;
    expect(texts).toEqual(
      [record(id, "PROGRESS", 0), record(id, "PROGRESS", 1), record(id, "SUCCESS")].map(({ text }) => text),
    );
  });

  test("rubbish on the channel is not believed", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, NO_POLL));
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    for (const rubbish of ["", "null", '{"status": 1}', "\u0080", '{"status": "SUCCESS"']) {
      await redis.publish(`celery-task-meta-${id}`, rubbish);
    }
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    expect(await watching).toEqual([record(id, "SUCCESS")]);
  });

  test("no timer runs when nobody waits", async () => {
    const timers = new Set<object>();
    const platform: Platform = {
      ...systemPlatform,
      clock: {
        ...systemPlatform.clock,
        after(ms, callback, options) {
          const key = {};
          timers.add(key);
          const timer = systemPlatform.clock.after(ms, () => {
            timers.delete(key);
            callback();
          }, options);
          return {
            cancel() {
              timers.delete(key);
              timer.cancel();
            },
          };
        },
      },
    };
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url, { platform, pollInterval: "50ms" }));
    const id = crypto.randomUUID();
    const signal = new AbortController();
    const watching = seen(backend.watch([id], { signal: signal.signal, deadline: Date.now() + 60_000 }));
    const other = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    expect(timers.size).toBeGreaterThan(0);
    signal.abort(new Error("enough"));
    await expect(watching).rejects.toThrow("enough");
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    await other;
    await until(() => timers.size === 0, { what: "the end of the timers", deadline: 2000 });
  });

  test("close ends every wait with a coded error, and the backend is usable again", async () => {
    await using redis = bareClient(server.url);
    const backend = redisBackend(server.url, NO_POLL);
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    const failed = expect(watching).rejects.toMatchObject({ code: "backend-closed" });
    await backend.close();
    await failed;
    await until(async () => await listeners(redis, id) === 0, { what: "the end of the connection" });
    const again = seen(backend.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    expect(await again).toHaveLength(1);
    await backend.close();
  });
});

describe("a result on the shared server", () => {
  test("what one backend stores, the watch of another one sees at once", async () => {
    await using redis = bareClient();
    await using reader = closing(redisBackend(inject("redis"), NO_POLL));
    await using writer = closing(redisBackend(inject("redis")));
    const id = crypto.randomUUID();
    const watching = seen(reader.watch([id]));
    await until(async () => await listeners(redis, id) === 1, { what: "the subscription" });
    await writer.store(record(id, "SUCCESS"), { ttl: DAY });
    expect(await watching).toEqual([record(id, "SUCCESS")]);
    await writer.forget([id]);
  });
});
