/** Publishing over HTTP: one request, kombu's routing, options, clients of the program's own. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "@upstash/redis";
import { Redis as EdgeRedis } from "@upstash/redis/cloudflare";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { upstashBackend, upstashBroker, upstashPublisher } from "../../adapters/redis/http.ts";
import type { Entity } from "../../src/broker.ts";
import { Celery } from "../../mod.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { until } from "../support/wait.ts";
import { countingPlatform, message, outgoing, TOKEN } from "./http-setup.ts";
import { listsOf } from "./kombu-reader.ts";
import { bareClient } from "./setup.ts";

const redis = bareClient();
let gateway: PrivateGateway;

beforeAll(async () => {
  gateway = await startGateway({ redis: inject("redis"), token: TOKEN });
});

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

function server(): { url: string; token: string } {
  return { url: gateway.url, token: gateway.token };
}

const fresh = (kind: string): string => `${kind}.${crypto.randomUUID()}`;

const exchangeOf = (name: string, type: "direct" | "topic" | "fanout"): Entity => ({
  kind: "exchange",
  name,
  type,
  durable: true,
  autoDelete: false,
});

const makers: [string, typeof upstashPublisher][] = [
  ["upstashBroker", upstashBroker],
  ["upstashPublisher", upstashPublisher],
];

describe.each(makers)("requests of %s", (_name, make) => {
  test("a publish with its declarations is one request, a batch too", async () => {
    const broker = make(server());
    const [queue, exchange] = [fresh("queue"), fresh("exchange")];
    const declare: Entity[] = [
      exchangeOf(exchange, "direct"),
      { kind: "queue", name: queue, durable: true, exclusive: false, autoDelete: false },
      { kind: "binding", queue, exchange, routingKey: "key" },
    ];
    const before = gateway.requests.length;
    await broker.publish([{ ...outgoing(queue), to: { exchange, routingKey: "key" } }], { declare });
    expect(gateway.requests.length - before).toBe(1);
    await broker.publish(Array.from({ length: 300 }, () => outgoing(queue)), { declare });
    expect(gateway.requests.length - before).toBe(2);
    expect(await redis.llen(queue)).toBe(301);
    await redis.del(queue, `_kombu.binding.${exchange}`);
  });

  test("what comes without messages is declared, by one request; nothing at all by none", async () => {
    const exchange = fresh("exchange");
    const before = gateway.requests.length;
    const broker = make(server());
    expect(await broker.publish([])).toEqual([]);
    expect(await broker.publish([], { declare: [exchangeOf(exchange, "direct")] })).toEqual([]);
    expect(gateway.requests.length - before).toBe(0);
    const declare: Entity[] = [{ kind: "binding", queue: "q", exchange, routingKey: "key" }];
    expect(await broker.publish([], { declare })).toEqual([]);
    expect(gateway.requests.length - before).toBe(1);
    expect(await redis.smembers(`_kombu.binding.${exchange}`)).toHaveLength(1);
    await redis.del(`_kombu.binding.${exchange}`);
  });

  test("the client's extras are off: no telemetry, no base64, no pipeline", async () => {
    const queue = fresh("queue");
    await make(server()).publish([outgoing(queue)]);
    const { path, body, headers } = gateway.requests.at(-1) ?? {};
    expect(path).toBe("/");
    expect((JSON.parse(body ?? "") as string[])[0]).toBe("EVAL");
    const extras = Object.keys(headers ?? {}).filter((name) => name.startsWith("upstash"));
    expect(extras).toEqual(["upstash-sync-token"]);
    await redis.del(queue);
  });

  test("what a publish leaves behind has an expiry, all else is kombu's", async () => {
    const globalKeyprefix = `left-${crypto.randomUUID()}.`;
    const broker = make({ ...server(), globalKeyprefix });
    await broker.publish([outgoing("queue"), outgoing("queue", { priority: 9 })]);
    const keys = (await redis.keys(`${globalKeyprefix}*`)).map((key) => key.slice(globalKeyprefix.length));
    const [id, ...rest] = keys.sort();
    expect(id).toMatch(/^celeriac:pub:[0-9a-f-]{36}$/);
    expect(rest).toEqual(["queue", "queue\x06\x169"]);
    const left = await redis.pttl(`${globalKeyprefix}${id}`);
    expect(left).toBeGreaterThan(100_000);
    expect(left).toBeLessThanOrEqual(130_000);
    await redis.del(...keys.map((key) => globalKeyprefix + key));
  });

  test("a message that has no JSON form is refused alone", async () => {
    const queue = fresh("queue");
    const odd = { ...outgoing(queue), message: { ...message(), headers: { when: () => 1 } } };
    const verdicts = await make(server()).publish([outgoing(queue), odd, outgoing(queue)]);
    expect(verdicts.map(({ is }) => is)).toEqual(["confirmed", "refused", "confirmed"]);
    expect(verdicts[1]).toMatchObject({ retry: false });
    await redis.del(queue);
  });
});

test("a batch that is too large for one request goes as several, in its order", async () => {
  const broker = upstashBroker(server());
  const queue = fresh("queue");
  const body = new Uint8Array(3_000_000);
  const batch = Array.from({ length: 5 }, (_, at) => ({
    ...outgoing(queue),
    message: { ...message({ correlation_id: String(at) }), body },
  }));
  const before = gateway.requests.length;
  const deadline = Date.now() + 60_000;
  expect((await broker.publish(batch, { deadline })).map(({ is }) => is)).toEqual(
    batch.map(() => "confirmed"),
  );
  expect(gateway.requests.length - before).toBe(3);
  const stored = await redis.lrange(queue, 0, -1);
  const order = stored.map((text) => /"correlation_id": "(\d)"/.exec(text)?.[1]);
  expect(order).toEqual(["4", "3", "2", "1", "0"]);
  await redis.del(queue);
});

describe("routing", () => {
  test("an error of one list is that message's own verdict", async () => {
    const [queue, broken] = [fresh("queue"), fresh("queue")];
    await redis.set(broken, "no list");
    const verdicts = await upstashBroker(server()).publish([
      outgoing(queue),
      outgoing(broken),
      outgoing(queue),
    ]);
    expect(verdicts.map(({ is }) => is)).toEqual(["confirmed", "refused", "confirmed"]);
    expect(verdicts[1]).toMatchObject({ retry: false, reason: expect.stringContaining("WRONGTYPE") });
    await redis.del(queue, broken);
  });

  test("where some queues took a message and another could not, nobody says that it was refused", async () => {
    const broker = upstashBroker(server());
    const [exchange, good, bad] = [fresh("exchange"), fresh("queue"), fresh("queue")];
    await redis.set(bad, "no list");
    const declare: Entity[] = [good, bad].map((queue) => ({
      kind: "binding",
      queue,
      exchange,
      routingKey: "key",
    }));
    const one = { ...outgoing(good), to: { exchange, routingKey: "key" } };
    expect(await broker.publish([one], { declare })).toMatchObject([{ is: "unknown" }]);
    expect(await broker.count(good)).toBe(1);
    await redis.del(good, bad, `_kombu.binding.${exchange}`);
  });

  test("a set of bindings that is none refuses the whole, and sends nothing", async () => {
    const [exchange, queue] = [fresh("exchange"), fresh("queue")];
    await redis.set(`_kombu.binding.${exchange}`, "no set");
    const declare: Entity[] = [{ kind: "binding", queue, exchange, routingKey: "key" }];
    const broker = upstashBroker(server());
    expect(await broker.publish([outgoing(queue)], { declare })).toMatchObject([{
      is: "refused",
      retry: false,
    }]);
    expect(await broker.count(queue)).toBe(0);
    await expect(broker.declare(declare)).rejects.toMatchObject({ code: "broker-refused" });
    await redis.del(`_kombu.binding.${exchange}`);
  });

  test("bindings of a topic hold kombu's regular expression", async () => {
    const exchange = fresh("exchange");
    const keys = ["log.*.error", "audit.#", "#", "a-b.ü€.*", "x*.y#z", ""];
    await upstashBroker(server()).declare([
      exchangeOf(exchange, "topic"),
      ...keys.map((routingKey): Entity => ({ kind: "binding", queue: "q", exchange, routingKey })),
    ]);
    const members = await redis.smembers(`_kombu.binding.${exchange}`);
    const patterns = Object.fromEntries(members.map((member) => member.split("\x06\x16").slice(0, 2)));
    // As kombu.transport.virtual.exchange.TopicExchange.key_to_pattern says.
    expect(patterns).toEqual({
      "": "^$",
      "#": "^.*?$",
      "a-b.ü€.*": "^a\\-b\\.ü\\€\\..*?[^\\.]$",
      "audit.#": "^audit\\..*?$",
      "log.*.error": "^log\\..*?[^\\.]\\.error$",
      "x*.y#z": "^x*\\.y#z$",
    });
    await redis.del(`_kombu.binding.${exchange}`);
  });

  test("bindings that others made are used, whatever was declared here", async () => {
    const [exchange, queue] = [fresh("exchange"), fresh("queue")];
    await redis.sadd(`_kombu.binding.${exchange}`, `a.*\x06\x16^a\\..*?[^\\.]$\x06\x16${queue}`);
    const to = (routingKey: string) => ({ ...outgoing(queue), to: { exchange, routingKey } });
    const verdicts = await upstashBroker(server()).publish([to("a.b"), to("b.a"), to("a.%d")]);
    expect(verdicts.map(({ is }) => is)).toEqual(["confirmed", "unroutable", "confirmed"]);
    await redis.del(queue, `_kombu.binding.${exchange}`);
  });

  test("fanout goes to the channel that workers listen to, with the prefix before it", async () => {
    const globalKeyprefix = `fan-${crypto.randomUUID()}.`;
    const [exchange, heard] = [fresh("exchange"), [] as [string, string][]];
    await using listener = bareClient();
    listener.on("message", (channel: string, text: string) => heard.push([channel, text]));
    const channels = [`${globalKeyprefix}/0.${exchange}`, `${globalKeyprefix}/0.${exchange}/key`];
    await listener.subscribe(...channels);
    const broker = upstashBroker({ ...server(), globalKeyprefix });
    const to = (routingKey: string) => ({ ...outgoing("q"), to: { exchange, routingKey } });
    const declare = [exchangeOf(exchange, "fanout")];
    const verdicts = await broker.publish([to(""), to("key")], { declare });
    expect(verdicts).toEqual([{ is: "confirmed" }, { is: "confirmed" }]);
    await until(() => heard.length === 2, { what: "both messages" });
    expect(heard.map(([channel]) => channel)).toEqual(channels);
    expect(JSON.parse(heard[0]?.[1] ?? "")).toMatchObject({ properties: { delivery_info: { exchange } } });
  });
});

test("a client's own retries do not publish: what was lost and then has no server is unknown", async () => {
  const queue = fresh("queue");
  // Carries the first request out, then is gone.
  const server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on("data", (part: Uint8Array) => parts.push(part));
    request.on("end", () => {
      const { authorization = "" } = request.headers;
      const body = Buffer.concat(parts);
      void fetch(gateway.url, { method: "POST", headers: { authorization }, body }).finally(() => {
        server.close();
        response.destroy();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new Redis({ url, token: TOKEN, retry: { retries: 3, backoff: () => 10 } });
  const deadline = Date.now() + 1500;
  const [verdict] = await upstashPublisher({ client }).publish([outgoing(queue)], { deadline });
  expect(await redis.llen(queue)).toBe(1);
  expect(verdict?.is).toBe("unknown");
  expect((client as unknown as { client: { retry: object } }).client.retry).toMatchObject({ attempts: 3 });
  await redis.del(queue);
});

describe("bindings that are no Lua pattern", () => {
  test.each(["^[a$", "^%b$", "^(a$"])(
    "%s: that message's own verdict, and the others go",
    async (pattern) => {
      const [exchange, queue, bound] = [fresh("exchange"), fresh("queue"), fresh("queue")];
      await redis.sadd(`_kombu.binding.${exchange}`, `x\x06\x16${pattern}\x06\x16${bound}`);
      const through = { ...outgoing(queue), to: { exchange, routingKey: "a" } };
      const verdicts = await upstashPublisher(server()).publish([outgoing(queue), through, outgoing(queue)]);
      expect(verdicts.map(({ is }) => is)).toEqual(["confirmed", "refused", "confirmed"]);
      expect(verdicts[1]).toMatchObject({ retry: false });
      expect(await redis.llen(queue)).toBe(2);
      await redis.del(queue, `_kombu.binding.${exchange}`);
    },
  );
});

describe("clients of the program", () => {
  const kinds: [string, () => Redis | EdgeRedis][] = [
    ["with the defaults of Node", () => new Redis(server())],
    ["with the defaults of the edge", () => new EdgeRedis(server())],
    ["with base64 off and values read", () => new Redis({ ...server(), responseEncoding: false })],
    ["with everything off", () =>
      new Redis({
        ...server(),
        retry: false,
        enableAutoPipelining: false,
        automaticDeserialization: false,
        enableTelemetry: false,
      })],
  ];

  test.each(kinds)("a client %s publishes the same, and stays as it is", async (_how, make) => {
    const client = make();
    const queue = fresh("queue");
    const before = gateway.requests.length;
    for (const broker of [upstashBroker(client), upstashBroker({ client }), upstashPublisher(client)]) {
      expect(await broker.publish([outgoing(queue), outgoing(queue)])).toEqual([
        { is: "confirmed" },
        { is: "confirmed" },
      ]);
      expect(broker.address).toBe(gateway.url);
    }
    expect(gateway.requests.slice(before).map(({ path }) => path)).toEqual(["/", "/", "/"]);
    expect(await upstashBroker(client).count(queue)).toBe(6);
    await client.set(queue, "17");
    expect(String(await client.get(queue))).toBe("17");
    await redis.del(queue);
  });

  test("its retries do not double a message, nor outlive the deadline", async () => {
    const queue = fresh("queue");
    const broker = upstashBroker(new Redis(server()));
    gateway.faults.dropResponse(3);
    expect(await broker.publish([outgoing(queue)])).toEqual([{ is: "confirmed" }]);
    expect(await broker.count(queue)).toBe(1);
    gateway.faults.dropResponse(Infinity);
    const begun = performance.now();
    const [verdict] = await broker.publish([outgoing(queue)], { deadline: Date.now() + 300 });
    expect(verdict?.is).toBe("unknown");
    expect(performance.now() - begun).toBeLessThan(1500);
    gateway.faults.heal();
    await redis.del(queue);
  });
});

const NOWHERE = { url: "https://a.upstash.io", token: "t" };

describe("set-up", () => {
  test.each(["pollInterval", "commandTimeout"])("%s of a backend is more than 0", (name) => {
    expect(() => upstashBackend({ ...NOWHERE, [name]: 0 })).toThrow(
      expect.objectContaining({ code: "duration-invalid" }),
    );
  });

  test.each<[string, object, string]>([
    ["an unknown option", { url: "https://a.upstash.io", token: "t", timeout: 1 }, "option-unknown"],
    ["no url", { token: TOKEN }, "option-invalid"],
    ["no token", { url: "https://a.upstash.io" }, "option-invalid"],
    ["a url of Redis", { url: `redis://:${TOKEN}@a.upstash.io`, token: TOKEN }, "option-invalid"],
    ["credentials in the url", { url: `https://u:${TOKEN}@a.upstash.io`, token: TOKEN }, "option-invalid"],
    ["a token in the url", { url: `https://a.upstash.io?_token=${TOKEN}`, token: TOKEN }, "option-invalid"],
    [
      "a token that no header can carry",
      { url: "https://a.upstash.io", token: `${TOKEN}\n€` },
      "option-invalid",
    ],
    ["a client that is none", { client: { eval: () => {} } }, "option-invalid"],
    ["a token that is no text", { url: "https://a.upstash.io", token: null }, "option-invalid"],
    ["a url that is no text", { url: ["https://a.upstash.io"], token: TOKEN }, "option-invalid"],
    ["a client with a url", { client: new Redis(NOWHERE), url: NOWHERE.url }, "option-invalid"],
    ["a client with a token", { client: new Redis(NOWHERE), token: TOKEN }, "option-invalid"],
    ["a client within which is a text", { client: { eval: () => {}, client: "x" } }, "option-invalid"],
    ["no time", { ...NOWHERE, publishTimeout: 0 }, "duration-invalid"],
    ["no time with a unit", { ...NOWHERE, publishTimeout: "0ms" }, "duration-invalid"],
    ["a duration that is none", { url: "https://a.io", token: "t", publishTimeout: "1" }, "duration-invalid"],
  ])("%s is a coded error without secrets", (_what, options, code) => {
    let error: unknown;
    try {
      upstashBroker(options as never);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: "ConfigurationError", code });
    expect(String(error)).not.toContain(TOKEN);
  });

  test("space around url and token does no harm", async () => {
    const broker = upstashBroker({ url: ` ${gateway.url}/\n`, token: `${gateway.token}\n` });
    await broker.connect();
    expect(broker.address).toBe(gateway.url);
  });

  test("an app can be made", async () => {
    const broker = upstashBroker(server());
    const queue = fresh("queue");
    await using app = new Celery("edge", { broker, taskDefaultQueue: queue });
    await app.sendTask("tasks.add", { args: [1, 2] });
    await app.sendTask("tasks.add", { args: [1, 2], priority: 7 });
    expect(await broker.count(queue)).toBe(2);
    expect(await redis.exists(...listsOf(queue))).toBe(2);
    await broker.purge(queue);
    await redis.del(`_kombu.binding.${queue}`);
  });

  test("no timer is left", async () => {
    const { platform, waiting } = countingPlatform();
    const broker = upstashBroker({ ...server(), platform });
    await Promise.all(Array.from({ length: 20 }, () => broker.connect()));
    expect(waiting.size).toBe(0);
  });
});
