import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import * as leases from "../../adapters/redis/lease/scripts.ts";
import { PUBLISH_MESSAGES, PUBLISH_SHA } from "../../adapters/redis/publish-script.ts";
import * as scripts from "../../adapters/redis/scripts.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { bareClient, closing, DAY, record } from "./setup.ts";

let server: PrivateServer;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const { BUMP_FACT, STORE_RESULTS } = scripts;

const PUBLISH = { text: PUBLISH_MESSAGES, sha: PUBLISH_SHA };

test.each(Object.entries({ BUMP_FACT, STORE_RESULTS, PUBLISH, ...leases }))(
  "%s has the SHA-1 of its text",
  (_name, { text, sha }) => {
    expect(createHash("sha1").update(text).digest("hex")).toBe(sha);
  },
);

test("every script of the room is held to its SHA-1", () => {
  const all = Object.values(scripts).filter((value) => typeof value === "object");
  expect(new Set(all)).toEqual(new Set([BUMP_FACT, STORE_RESULTS]));
});

describe("the store script", () => {
  // What a writer left there, and whether it counts as a stored SUCCESS.
  test.each<[string, string, boolean]>([
    ["kombu's layout", '{"status": "SUCCESS", "result": 1}', true],
    ["the layout of JSON.stringify", '{"status":"SUCCESS","result":1}', true],
    ["another order of keys", '{"task_id": "x", "result": {"status": "FAILURE"}, "status": "SUCCESS"}', true],
    ["blanks of another kind", '{ "status" :\n"SUCCESS" }', true],
    ["a failure", '{"status": "FAILURE", "result": {"status": "SUCCESS"}}', false],
    ["a failure in another order", '{"result": "\\"status\\": \\"SUCCESS\\"", "status": "FAILURE"}', false],
    ["a state that begins alike", '{"status": "SUCCESSFUL"}', false],
    ["another case", '{"status":"success"}', false],
    ["no JSON", "\u0080\u0002}q\u0000(X\u0006\u0000status SUCCESS", false],
    ["no object", '["status", "SUCCESS"]', false],
    ["nothing", "", false],
    ["nesting deeper than cjson reads", `${"[".repeat(2000)}${"]".repeat(2000)}`, false],
  ])("%s", async (_name, there, isSuccess) => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url));
    const id = crypto.randomUUID();
    await redis.set(`celery-task-meta-${id}`, there);
    expect(await backend.store(record(id, "FAILURE"), { ttl: DAY })).toBe(isSuccess ? "kept" : "stored");
    expect(await redis.get(`celery-task-meta-${id}`)).toBe(isSuccess ? there : record(id, "FAILURE").text);
  });

  test("what Lua's cjson would corrupt goes through as it is", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url));
    const id = crypto.randomUUID();
    const text =
      '{"status": "RETRY", "result": [[], {}, 9007199254740993, 1.0, 1e-07, NaN, "\\u0000\\ud83d\\ude00"]}';
    await backend.store({ taskId: id, status: "RETRY", text }, { ttl: DAY });
    expect(await redis.get(`celery-task-meta-${id}`)).toBe(text);
    expect((await backend.load([id]))[0]).toEqual({ taskId: id, status: "RETRY", text });
  });

  test("a record that cannot be written does not hurt the others of its tick", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url));
    const ids = Array.from({ length: 3 }, () => crypto.randomUUID());
    await redis.rpush(`celery-task-meta-${ids[1]}`, "a list");
    const outcomes = await Promise.allSettled(
      ids.map((id) => backend.store(record(id, "SUCCESS"), { ttl: DAY })),
    );
    expect(outcomes).toEqual([
      { status: "fulfilled", value: "stored" },
      {
        status: "rejected",
        reason: expect.objectContaining({ code: "backend-refused", name: "ConnectionError" }),
      },
      { status: "fulfilled", value: "stored" },
    ]);
  });

  test("a server that forgot its scripts is given the text", async () => {
    await using redis = bareClient(server.url);
    await using backend = closing(redisBackend(server.url));
    const id = crypto.randomUUID();
    for (const status of ["STARTED", "SUCCESS"]) {
      await redis.script("FLUSH");
      expect(await backend.store(record(id, status), { ttl: DAY })).toBe("stored");
      await redis.script("FLUSH");
      expect(await backend.facts?.bump(id, { ttl: DAY })).toBe(status === "STARTED" ? 1 : 2);
    }
  });

  test("Redis out of memory is a coded refusal that shows no payload", async () => {
    await using full = await startRedis();
    await using redis = bareClient(full.url);
    await using backend = closing(redisBackend(full.url));
    await backend.load(["a"]);
    await redis.config("SET", "maxmemory", "1");
    const failed = backend.store(record("a", "SUCCESS", "canary-payload"), { ttl: DAY });
    await expect(failed).rejects.toMatchObject({
      code: "backend-refused",
      message: expect.stringContaining("OOM"),
    });
    expect(
      JSON.stringify(await failed.catch((error: Error) => [error.message, error.stack, String(error.cause)])),
    )
      .not.toContain("canary");
  });

  test("a replica is waited for until it is the primary, then a coded error", async () => {
    await using replica = await startRedis();
    await using redis = bareClient(replica.url);
    await redis.replicaof("127.0.0.1", server.port);
    await using impatient = closing(redisBackend(replica.url, { commandTimeout: "300ms" }));
    await expect(impatient.store(record("a", "SUCCESS"), { ttl: DAY })).rejects.toMatchObject({
      code: "backend-unavailable",
      message: expect.stringContaining("READONLY"),
    });
    await using backend = closing(redisBackend(replica.url));
    const id = crypto.randomUUID();
    const storing = backend.store(record(id, "SUCCESS"), { ttl: DAY });
    // It asked at least once before the promotion.
    await backend.load([id]);
    await redis.replicaof("NO", "ONE");
    expect(await storing).toBe("stored");
  });
});
