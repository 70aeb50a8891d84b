/** Results over HTTP, looked up in another request than the one that published. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import type { Backend } from "../../src/backend.ts";
import { record } from "../redis/setup.ts";
import { type EdgeServers, startEdgeServers } from "../support/edge/bench.ts";
import { WAYS } from "../support/edge/functions.ts";
import { deleteRedis } from "../support/edge/queues.ts";
import { until } from "../support/wait.ts";
import { FLAGS, type Isolate, isolate, TROUBLE } from "./isolate.ts";

const queue = `workerd-${crypto.randomUUID()}`;
const code = WAYS.find(({ name }) => name === "Celery over HTTP");

let servers: EdgeServers;
/** The worker that runs what was published. */
let backend: Backend;

beforeAll(async () => {
  servers = await startEdgeServers();
  backend = redisBackend(inject("redis"));
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await backend.close();
  await deleteRedis(queue);
});

const store = (id: string, status: string, value?: unknown): Promise<unknown> =>
  backend.store(record(id, status, value), { ttl: 60_000 });

const subscribed = (id: string): number =>
  servers.gateway.requests.filter(({ path }) => path.startsWith("/subscribe/") && path.includes(id)).length;

describe.each(FLAGS)("workerd %s", (_name, flags) => {
  let worker: Isolate;

  beforeAll(async () => {
    worker = await isolate(code?.code(servers.given(queue)) ?? "", flags);
  });

  afterAll(async () => {
    await worker[Symbol.asyncDispose]();
  });

  const sent = async (): Promise<string> => (await worker.ask("/send/1")).ids?.[0] ?? "";

  test("a result that is there already", async () => {
    const id = await sent();
    await store(id, "SUCCESS", 3);
    expect(await worker.ask(`/get/${id}`)).toMatchObject({ value: 3 });
    expect(await worker.ask(`/watch/${id}`)).toMatchObject({ states: ["SUCCESS"] });
  });

  test("a result that comes while requests wait for it, each in its own way", async () => {
    const [id, other] = [await sent(), await sent()];
    const asked = [`/get/${id}`, `/watch/${id}`, `/get/${id}`, `/watch/${other}`].map((path) =>
      worker.ask(path)
    );
    await until(() => subscribed(id) === 3 && subscribed(other) === 1, { what: "all of them wait" });
    await store(id, "SUCCESS", 3);
    await store(other, "SUCCESS", 4);
    const [get, watch, again, second] = await Promise.all(asked);
    expect(get).toMatchObject({ value: 3 });
    expect(again).toMatchObject({ value: 3 });
    expect(watch?.states).toEqual(["SUCCESS"]);
    expect(second?.states).toEqual(["SUCCESS"]);
    expect(worker.log).not.toMatch(TROUBLE);
  });

  test("each state, the final one last", async () => {
    const id = await sent();
    await store(id, "STARTED");
    const watching = worker.ask(`/watch/${id}`);
    await until(() => subscribed(id) === 1, { what: "it waits" });
    await store(id, "RETRY");
    await store(id, "SUCCESS");
    const { states, error } = await watching;
    expect(error).toBeUndefined();
    expect(states?.at(-1)).toBe("SUCCESS");
    expect(["STARTED", "RETRY", "SUCCESS"].filter((state) => states?.includes(state))).toEqual(states);
  });

  test("a wait whose client goes away leaves the others alone", async () => {
    const id = await sent();
    const client = new AbortController();
    const lost = worker.fetch(`/get/${id}`, { signal: client.signal });
    const waiting = worker.ask(`/get/${id}`);
    await until(() => subscribed(id) === 2, { what: "both of them wait" });
    client.abort();
    await expect(lost).rejects.toThrow();
    await store(id, "SUCCESS", 5);
    expect(await waiting).toMatchObject({ value: 5 });
    expect(await worker.ask(`/get/${id}`)).toMatchObject({ value: 5 });
    expect(worker.log).not.toMatch(TROUBLE);
  });

  test("a failed task is a failure", async () => {
    const id = await sent();
    const failure = { exc_type: "ValueError", exc_message: ["no"], exc_module: "builtins" };
    await store(id, "FAILURE", failure);
    expect((await worker.ask(`/get/${id}`)).error).toMatchObject({ name: "RemoteTaskError" });
  });

  test("what does not come is a timeout", async () => {
    const { error } = await worker.ask(`/glance/${crypto.randomUUID()}`);
    expect(error).toMatchObject({ name: "TimeoutError" });
  });
});
