/** Publishing, and looking up a result, from edge-runtime's strict VM. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { record } from "../redis/setup.ts";
import { type EdgeServers, startEdgeServers } from "../support/edge/bench.ts";
import { WAYS } from "../support/edge/functions.ts";
import { deleteRabbit, deleteRedis, takeRabbit, takeRedis } from "../support/edge/queues.ts";
import { until } from "../support/wait.ts";
import { edgeRuntime, type Host } from "./vm.ts";

let servers: EdgeServers;

beforeAll(async () => {
  servers = await startEdgeServers();
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

describe.each(WAYS)("edge-runtime: $name", ({ name, by, code }) => {
  const queue = `edge-runtime-${crypto.randomUUID()}`;
  let host: Host;

  beforeAll(async () => {
    host = await edgeRuntime(code(servers.given(queue)));
  });

  afterAll(async () => {
    await host.ask("/close");
    await (by === "http" ? deleteRedis(queue) : deleteRabbit(queue));
  });

  const publish = async (...paths: string[]): Promise<void> => {
    const answers = await Promise.all(paths.map((path) => host.ask(path)));
    expect(answers.map(({ error }) => error)).toEqual(paths.map(() => undefined));
    const ids = answers.flatMap((answer) => answer.ids ?? []);
    expect((await (by === "http" ? takeRedis(queue) : takeRabbit(queue))).sort()).toEqual(ids.sort());
  };

  test("20 requests at once, the first that it ever has", () =>
    publish(...Array.from({ length: 20 }, () => "/send/1")));

  test("one request after the other, with one message or with many", async () => {
    await publish("/send/1");
    await publish("/send/30");
  });

  test("a compressed message is refused by name, as there is no CompressionStream", async () => {
    const { error } = await host.ask("/compressed");
    expect(error?.name).toBe("ConfigurationError");
    // The lean sender compresses nowhere.
    expect(error?.code).toMatch(name.startsWith("Celery") ? /^compression-unsupported$/ : /^option-/);
  });
});

test("edge-runtime: a result over HTTP, there already or to come", async () => {
  const queue = `edge-runtime-${crypto.randomUUID()}`;
  const way = WAYS.find(({ name }) => name === "Celery over HTTP");
  const host = await edgeRuntime(way?.code(servers.given(queue)) ?? "");
  const backend = redisBackend(inject("redis"));
  const [there = "", coming = ""] = (await host.ask("/send/2")).ids ?? [];
  await backend.store(record(there, "SUCCESS", 3), { ttl: 60_000 });
  expect(await host.ask(`/get/${there}`)).toMatchObject({ value: 3 });
  const waiting = [host.ask(`/get/${coming}`), host.ask(`/watch/${coming}`)];
  const subscribed = ({ path }: { path: string }): boolean =>
    path.startsWith("/subscribe/") && path.includes(coming);
  await until(() => servers.gateway.requests.filter(subscribed).length === 2, { what: "both of them wait" });
  await backend.store(record(coming, "SUCCESS", 4), { ttl: 60_000 });
  const [get, watch] = await Promise.all(waiting);
  expect(get).toMatchObject({ value: 4 });
  expect(watch).toMatchObject({ states: ["SUCCESS"] });
  await backend.close();
  await deleteRedis(queue);
});
