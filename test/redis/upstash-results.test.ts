/** Results over HTTP: told by streams, or by polling where there are none; deadlines, aborts, clients of the program's own, clean errors. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { Redis } from "@upstash/redis";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { upstashBackend } from "../../adapters/redis/http.ts";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { countingPlatform, failure, PAYLOAD, shown, TOKEN } from "./http-setup.ts";
import { bareClient, closing, DAY, record, seen } from "./setup.ts";

const redis = bareClient();
let gateway: PrivateGateway;

beforeAll(async () => {
  gateway = await startGateway({ redis: inject("redis"), token: TOKEN });
});

afterEach(() => gateway.faults.heal());

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const server = (): { url: string; token: string } => ({ url: gateway.url, token: TOKEN });

async function listeners(id: string): Promise<number> {
  return Number((await redis.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]);
}

const commands = (from: number): string[] =>
  gateway.requests.slice(from).map(({ path, body }) =>
    path.startsWith("/subscribe/") ? "SUBSCRIBE" : (JSON.parse(body) as string[])[0]?.toUpperCase() ?? ""
  );

/** No poll happens within a test. */
const NO_POLL = { pollInterval: "1h" } as const;

describe("with streams", () => {
  test("each state is told, in its order, and the stream ends with the wait", async () => {
    const { platform, waiting } = countingPlatform();
    await using backend = closing(upstashBackend({ ...server(), ...NO_POLL, platform }));
    await using writer = closing(redisBackend(inject("redis")));
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    await until(async () => await listeners(id) === 1, { what: "the stream" });
    for (const status of ["STARTED", "PROGRESS", "SUCCESS"]) {
      await writer.store(record(id, status), { ttl: DAY });
    }
    expect((await watching).map(({ status }) => status)).toEqual(["STARTED", "PROGRESS", "SUCCESS"]);
    await until(async () => await listeners(id) === 0, { what: "the end of the stream" });
    await until(() => waiting.size === 0, { what: "the end of each timer" });
    await backend.forget([id]);
  });

  test("what is there already costs one command and no stream", async () => {
    await using backend = closing(upstashBackend(server()));
    const id = crypto.randomUUID();
    await backend.store(record(id, "SUCCESS"), { ttl: DAY });
    const from = gateway.requests.length;
    expect(await seen(backend.watch([id]))).toEqual([record(id, "SUCCESS")]);
    await backend.forget([id]);
    expect(commands(from)).toEqual(["MGET", "DEL"]);
  });

  test("a wait that is told costs a read, a stream and a read behind it", async () => {
    await using backend = closing(upstashBackend(server()));
    const id = crypto.randomUUID();
    const from = gateway.requests.length;
    const watching = seen(backend.watch([id]));
    await until(() => commands(from).filter((name) => name === "MGET").length === 2, {
      what: "the second read",
    });
    await redis.set(`celery-task-meta-${id}`, record(id, "SUCCESS").text);
    await redis.publish(`celery-task-meta-${id}`, record(id, "SUCCESS").text);
    await watching;
    const [first, second, ...rest] = commands(from);
    expect([first, second]).toEqual(["MGET", "SUBSCRIBE"]);
    // One more where the stream took longer to open than the first pause of the poll.
    expect(rest.filter((name) => name === "MGET")).toHaveLength(rest.length);
    expect(rest.length).toBeLessThanOrEqual(3);
    await backend.forget([id]);
  });

  test("a stream that is cut is opened again, and nothing is missed", async () => {
    // A server of its own, because all of its listeners are killed.
    await using ownRedis = await startRedis();
    await using own = await startGateway({ redis: ownRedis.url, token: TOKEN });
    await using bare = bareClient(ownRedis.url);
    await using backend = closing(upstashBackend({ url: own.url, token: TOKEN, pollInterval: "200ms" }));
    const id = crypto.randomUUID();
    const heard = async (): Promise<boolean> =>
      Number((await bare.pubsub("NUMSUB", `celery-task-meta-${id}`))[1]) === 1;
    const watching = seen(backend.watch([id]));
    await until(heard, { what: "the stream" });
    expect(Number(await bare.call("CLIENT", ["KILL", "TYPE", "pubsub"]))).toBeGreaterThan(0);
    await until(heard, { what: "the next stream" });
    await bare.set(`celery-task-meta-${id}`, record(id, "SUCCESS").text);
    expect(await watching).toEqual([record(id, "SUCCESS")]);
  });

  test("more tasks than streams: the poll tells of the others", async () => {
    await using backend = closing(upstashBackend({ ...server(), pollInterval: "200ms" }));
    const ids = Array.from({ length: 30 }, () => crypto.randomUUID());
    const from = gateway.requests.length;
    const done = new Set<string>();
    const watching = (async () => {
      for await (const { taskId } of backend.watch(ids)) {
        done.add(taskId);
        if (done.size === ids.length) break;
      }
    })();
    await until(() => commands(from).includes("SUBSCRIBE"), { what: "a stream" });
    for (const id of ids) await redis.set(`celery-task-meta-${id}`, record(id, "SUCCESS").text);
    await watching;
    expect(commands(from).filter((name) => name === "SUBSCRIBE").length).toBeLessThanOrEqual(3);
    await backend.forget(ids);
  });

  test("two waits share nothing: the end of one is not the other's", async () => {
    await using backend = closing(upstashBackend({ ...server(), ...NO_POLL }));
    const id = crypto.randomUUID();
    const stop = new AbortController();
    const first = failure(() => seen(backend.watch([id], { signal: stop.signal })));
    const second = seen(backend.watch([id]));
    await until(async () => await listeners(id) >= 1, { what: "a stream" });
    const begun = performance.now();
    stop.abort(new Error("no longer wanted"));
    expect((await first).error.message).toBe("no longer wanted");
    expect(performance.now() - begun).toBeLessThan(1000);
    await until(async () => await listeners(id) === 1, { what: "the other stream" });
    await redis.publish(`celery-task-meta-${id}`, record(id, "SUCCESS").text);
    expect(await second).toEqual([record(id, "SUCCESS")]);
  });
});

describe("a server without streams", () => {
  let front: Server;
  let url = "";
  let how: "silent" | "404" | "405" | "json" | "500" = "404";
  const silent = new Set<ServerResponse>();

  beforeAll(async () => {
    front = createServer((request, response) => {
      if (request.url?.startsWith("/subscribe/") === true) {
        if (how === "silent") return void silent.add(response);
        response.statusCode = how === "json" ? 200 : Number(how);
        return void response.end(how === "json" ? '{"result":[]}' : "<h1>no such page</h1>");
      }
      const parts: Uint8Array[] = [];
      request.on("data", (part: Uint8Array) => parts.push(part));
      request.on("end", () =>
        void fetch(gateway.url + (request.url ?? ""), {
          method: "POST",
          headers: { authorization: request.headers.authorization ?? "" },
          body: Buffer.concat(parts).toString(),
        }).then(async (answer) => {
          response.statusCode = answer.status;
          response.end(await answer.text());
        }));
    });
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    for (const response of silent) response.destroy();
    return new Promise<void>((resolve) => front.close(() => resolve()));
  });

  test.each(["silent", "404", "405", "json", "500"] as const)(
    "%s: it is polled, soon at first",
    async (kind) => {
      how = kind;
      const { platform, waiting } = countingPlatform();
      await using backend = closing(upstashBackend({ url, token: TOKEN, platform }));
      for (let round = 0; round < 3; round++) {
        const id = crypto.randomUUID();
        const watching = seen(backend.watch([id]));
        const from = gateway.requests.length;
        await until(() => gateway.requests.length > from, { what: "the first read" });
        const begun = performance.now();
        await redis.set(`celery-task-meta-${id}`, record(id, "SUCCESS").text);
        expect(await watching).toEqual([record(id, "SUCCESS")]);
        expect(performance.now() - begun).toBeLessThan(1500);
        await backend.forget([id]);
      }
      expect(waiting.size).toBe(0);
    },
  );

  test("the pauses grow to pollInterval: this is what a wait costs", async () => {
    how = "404";
    await using backend = closing(upstashBackend({ url, token: TOKEN, pollInterval: "400ms" }));
    const from = gateway.requests.length;
    const { error, ms } = await failure(() =>
      seen(backend.watch([crypto.randomUUID()], { deadline: Date.now() + 2500 }))
    );
    expect(error).toMatchObject({ code: "watch-timeout" });
    expect(ms).toBeLessThan(3500);
    // At once, after 0.1, 0.25, 0.475, 0.81, 1.21, 1.61, 2.01, 2.41 s, and a little later on a busy machine.
    const reads = commands(from).filter((name) => name === "MGET").length;
    expect(reads).toBeGreaterThanOrEqual(4);
    expect(reads).toBeLessThanOrEqual(9);
  });
});

describe("faults", () => {
  const calls: [string, (backend: ReturnType<typeof upstashBackend>, id: string) => Promise<unknown>][] = [
    ["store", (backend, id) => backend.store(record(id, "SUCCESS", PAYLOAD), { ttl: DAY })],
    ["load", (backend, id) => backend.load([id])],
    ["forget", (backend, id) => backend.forget([id])],
    ["watch", (backend, id) => seen(backend.watch([id]))],
    ["facts.get", (backend, id) => Promise.resolve(backend.facts?.get(id))],
    ["facts.put", (backend, id) => Promise.resolve(backend.facts?.put(id, PAYLOAD, { ttl: DAY }))],
    ["facts.bump", (backend, id) => Promise.resolve(backend.facts?.bump(id, { ttl: DAY }))],
  ];

  test.each(calls)(
    "%s: silent, closing, refusing, nonsense: each a coded error by the deadline",
    async (_name, call) => {
      const { platform, waiting } = countingPlatform();
      const backend = upstashBackend({ ...server(), commandTimeout: "300ms", platform });
      const id = crypto.randomUUID();
      const faults: [() => void, RegExp][] = [
        [() => gateway.faults.silent(Infinity), /^backend-timeout$/],
        [() => gateway.faults.closeBefore(Infinity), /^backend-(lost|timeout)$/],
        [() => gateway.faults.dropResponse(Infinity), /^backend-(lost|timeout)$/],
        [() => gateway.faults.status(500, '{"error":"boom"}', Infinity), /^backend-(lost|timeout)$/],
        [
          () => gateway.faults.status(200, `<h1>${PAYLOAD} ${TOKEN}</h1>`, Infinity),
          /^backend-(lost|timeout)$/,
        ],
        [
          () => gateway.faults.status(429, '{"error":"Too Many Requests"}', Infinity),
          /^backend-unavailable$/,
        ],
        [
          () => gateway.faults.status(401, '{"error":"Unauthorized"}', Infinity),
          /^backend-credentials-refused$/,
        ],
        [
          () =>
            gateway.faults.status(400, `{"error":"ERR no, with args beginning with: ${PAYLOAD}"}`, Infinity),
          /^backend-refused$/,
        ],
      ];
      for (const [set, code] of faults) {
        set();
        const { error, ms } = await failure(() => call(backend, id));
        expect(error.code).toMatch(code);
        expect(error.name).toBe("ConnectionError");
        expect(ms).toBeLessThan(2500);
        expect(shown(error)).not.toContain(PAYLOAD);
        expect(shown(error)).not.toContain(TOKEN);
      }
      expect(waiting.size).toBe(0);
      expect(inspect(backend, { depth: 9, showHidden: true })).not.toContain(TOKEN);
      gateway.faults.heal();
      await backend.forget([id]);
      await redis.del(`celeriac:fact:${id}`);
      await backend.close();
    },
  );

  test("a lost answer is asked for again, but a count is not counted twice", async () => {
    await using backend = closing(upstashBackend(server()));
    const id = crypto.randomUUID();
    gateway.faults.dropResponse(3);
    expect(await backend.store(record(id, "SUCCESS"), { ttl: DAY })).toMatch(/^(stored|kept)$/);
    gateway.faults.dropResponse(3);
    expect((await backend.load([id]))[0]?.status).toBe("SUCCESS");
    await backend.facts?.bump(id, { ttl: DAY });
    gateway.faults.swallowResponse(Infinity);
    const { error } = await failure(() =>
      Promise.resolve(upstashBackend({ ...server(), commandTimeout: "300ms" }).facts?.bump(id, { ttl: DAY }))
    );
    expect(error).toMatchObject({ code: "backend-timeout" });
    gateway.faults.heal();
    expect(await backend.facts?.bump(id, { ttl: DAY })).toBe(3);
    await redis.del(`celeriac:fact:${id}`, `celery-task-meta-${id}`);
  });

  test("an abort ends the call, and its request", async () => {
    await using backend = closing(upstashBackend(server()));
    gateway.faults.silent(Infinity);
    for (
      const call of [
        (signal: AbortSignal) => backend.load(["id"], { signal }),
        (signal: AbortSignal) => backend.store(record("id", "SUCCESS"), { ttl: DAY, signal }),
        (signal: AbortSignal) => seen(backend.watch(["id"], { signal })),
      ]
    ) {
      const reason = new Error("no longer wanted");
      const stop = new AbortController();
      const from = gateway.requests.length;
      const running = failure(() => call(stop.signal));
      await until(() => gateway.requests.length > from, { what: "the request" });
      const begun = performance.now();
      stop.abort(reason);
      expect((await running).error).toBe(reason);
      expect(performance.now() - begun).toBeLessThan(500);
    }
  });
});

describe("clients of the program", () => {
  test.each<[string, object]>([
    ["with the defaults", {}],
    ["without base64", { responseEncoding: false }],
    ["that never retries", { retry: false, enableAutoPipelining: false, automaticDeserialization: false }],
  ])("a client %s keeps results as they are, and is told of them", async (_how, options) => {
    const client = new Redis({ ...server(), ...options });
    await using backend = closing(upstashBackend(client));
    expect(backend.address).toBe(gateway.url);
    const id = crypto.randomUUID();
    const one = record(id, "SUCCESS", { big: "9223372036854775807", text: "ü€😀", odd: "MTIz" });
    const watching = seen(backend.watch([id]));
    await until(async () => await listeners(id) === 1, { what: "the stream" });
    await redis.set(`celery-task-meta-${id}`, one.text);
    await redis.publish(`celery-task-meta-${id}`, one.text);
    expect(await watching).toEqual([one]);
    expect(await backend.load([id])).toEqual([one]);
    expect(await backend.store(record(id, "FAILURE"), { ttl: DAY })).toBe("kept");
    await backend.forget([id]);
    // Its own settings stand.
    await client.set(id, { a: 1 });
    await client.del(id);
  });

  test("its retries do not count a fact twice", async () => {
    await using backend = closing(upstashBackend({ client: new Redis(server()), commandTimeout: "400ms" }));
    const id = crypto.randomUUID();
    await backend.facts?.bump(id, { ttl: DAY });
    // Deno's own fetch sends once more.
    gateway.faults.dropResponse(inject("runtime") === "deno" ? 2 : 1);
    await failure(() => Promise.resolve(backend.facts?.bump(id, { ttl: DAY })));
    const count = Number(await redis.get(`celeriac:fact:${id}`));
    expect(count).toBe(inject("runtime") === "deno" ? 3 : 2);
    await redis.del(`celeriac:fact:${id}`);
  });
});
