import { Redis } from "ioredis";
import { inject } from "vitest";
import { describe, expect, test } from "vitest";
import { redisBackend, type RedisClient } from "../../adapters/redis/tcp.ts";
import { startScript } from "../support/celeriac.ts";
import { startProxy } from "../support/proxy.ts";
import { until } from "../support/wait.ts";
import { bareClient, closing, DAY, placeOf, record, seen, through } from "./setup.ts";

const url = inject("redis");

describe("a client of the program's own", () => {
  test.each([2, 3] as const)(
    "an ioredis client that speaks RESP%i fits as it is, and stays open",
    async (protocol) => {
      const own = new Redis(url, { protocol });
      // The type of the package is taken without a cast.
      const client: RedisClient = own;
      const backend = redisBackend(client);
      const id = crypto.randomUUID();
      expect(backend.address).toBe("a client of the program");
      expect(await backend.store(record(id, "STARTED"), { ttl: DAY })).toBe("stored");
      const watching = seen(backend.watch([id]));
      await until(async () => Number((await own.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]) === 1, {
        what: "the subscription",
      });
      expect(await backend.store(record(id, "SUCCESS"), { ttl: DAY })).toBe("stored");
      expect((await watching).at(-1)).toEqual(record(id, "SUCCESS"));
      expect(await backend.facts?.bump(id, { ttl: 1000 })).toBe(1);
      await backend.close();
      await until(async () => Number((await own.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]) === 0, {
        what: "the end of the second connection",
      });
      expect(own.status).toBe("ready");
      expect(await own.get(`celery-task-meta-${id}`)).toBe(record(id, "SUCCESS").text);
      expect(await backend.load([id])).toEqual([record(id, "SUCCESS")]);
      await backend.forget([id]);
      await backend.close();
      own.disconnect();
    },
  );

  test("its calls settle by our deadline too", async () => {
    await using proxy = await startProxy(placeOf(url));
    await using own = bareClient(through(url, proxy.port));
    await own.ping();
    await using backend = closing(redisBackend(own, { commandTimeout: "200ms" }));
    proxy.blackhole("both");
    await expect(backend.load(["a"])).rejects.toMatchObject({ code: "backend-timeout" });
    proxy.heal();
    await own.ping();
    expect(await backend.load(["a"])).toEqual([undefined]);
  });

  test("one that was ended is a coded error by the deadline, not a loop", async () => {
    const own = new Redis(url);
    await own.quit();
    await using backend = closing(redisBackend(own, { commandTimeout: "200ms" }));
    await expect(backend.load(["a"])).rejects.toMatchObject({ code: "backend-unreachable" });
  });

  test("a client with a keyPrefix is refused, with the option that does it", async () => {
    await using own = bareClient();
    own.options.keyPrefix = "app:";
    expect(() => redisBackend(own)).toThrow(
      expect.objectContaining({
        code: "backend-client-invalid",
        message: expect.stringContaining("globalKeyprefix"),
      }),
    );
    expect(() => redisBackend({} as RedisClient)).toThrow(
      expect.objectContaining({ code: "backend-client-invalid" }),
    );
  });
});

describe("a process", () => {
  test("ends by itself after close", async () => {
    await using child = startScript(["scripts/ts.mjs", "test/redis/fixtures/ends.ts", url]);
    const late = setTimeout(() => void child.stop("SIGKILL"), 60_000);
    const how = await child.end;
    clearTimeout(late);
    expect(`${how}\n${child.log}`).toBe("exit 0\nSUCCESS\nConnectionError\n");
  }, 90_000);
});
