import { expect, inject, test } from "vitest";
import { event } from "../../src/gateway/stream.ts";
import { bareClient } from "../redis/setup.ts";
import { startRedis } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { type Asked, fresh, opened, TOKEN } from "./setup.ts";

/** A stream that is being read; its text so far. */
interface Listening extends AsyncDisposable {
  readonly response: Response;
  readonly text: string;
  readonly ended: boolean;
  abort(): void;
}

async function listen(gateway: Asked, path: string, method = "POST"): Promise<Listening> {
  const controller = new AbortController();
  const response = await gateway.fetch(
    new Request(`http://gateway.test${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, accept: "text/event-stream" },
      signal: controller.signal,
    }),
  );
  let text = "";
  let ended = false;
  const reader = response.body?.getReader();
  const pump = (async () => {
    const decoder = new TextDecoder();
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      text += decoder.decode(part.value, { stream: true });
    }
    ended = true;
  })();
  return {
    response,
    get text() {
      return text;
    },
    get ended() {
      return ended;
    },
    abort: () => controller.abort(),
    async [Symbol.asyncDispose]() {
      controller.abort();
      await pump;
    },
  };
}

async function listeners(channel: string): Promise<number> {
  await using bare = bareClient();
  return (await bare.call("PUBSUB", "NUMSUB", channel) as [string, number])[1];
}

test("subscribe: an event for the subscription and one for each message, as they are published", async () => {
  await using gateway = opened();
  const channel = fresh();
  await using stream = await listen(gateway, `/subscribe/${channel}`);
  expect([stream.response.status, stream.response.headers.get("content-type")]).toEqual([
    200,
    "text/event-stream",
  ]);
  await until(() => stream.text !== "", { what: "subscribed" });
  expect(stream.text).toBe(`data: subscribe,${channel},1\n\n`);
  expect(await gateway.run("PUBLISH", channel, "hello")).toEqual({ result: 1 });
  expect((await gateway.ask(`/publish/${channel}/how are you, today%3F`)).json).toEqual({ result: 1 });
  await gateway.run("PUBLISH", channel, '{"a":[1,"é😀"]}');
  await until(() => stream.text.includes("é"), { what: "three messages" });
  expect(stream.text).toBe(
    `data: subscribe,${channel},1\n\n` +
      `data: message,${channel},hello\n\n` +
      `data: message,${channel},how are you, today?\n\n` +
      `data: message,${channel},{"a":[1,"é😀"]}\n\n`,
  );
});

test("psubscribe tells the pattern and the channel", async () => {
  await using gateway = opened();
  const channel = fresh();
  await using stream = await listen(gateway, `/psubscribe/${channel}:*`, "GET");
  await until(() => stream.text !== "", { what: "subscribed" });
  await gateway.run("PUBLISH", `${channel}:a`, "x");
  await gateway.run("PUBLISH", channel, "not for us");
  await gateway.run("PUBLISH", `${channel}:b`, "y");
  await until(() => stream.text.includes(",y"), { what: "two messages" });
  expect(stream.text).toBe(
    `data: psubscribe,${channel}:*,1\n\n` +
      `data: pmessage,${channel}:*,${channel}:a,x\n\n` +
      `data: pmessage,${channel}:*,${channel}:b,y\n\n`,
  );
});

test("a channel's name may hold anything that a path part may", async () => {
  await using gateway = opened();
  const channel = `${fresh()} /?#,é`;
  await using stream = await listen(gateway, `/subscribe/${encodeURIComponent(channel)}`);
  await until(() => stream.text !== "", { what: "subscribed" });
  expect(await gateway.run("PUBLISH", channel, "x")).toEqual({ result: 1 });
  await until(() => stream.text.includes(`message,${channel},x`), { what: "the message" });
});

test("an event of several lines takes several data lines, so that no message can forge another", () => {
  expect(event("message", "c", "a\nb\r\nc\rd")).toBe("data: message,c,a\ndata: b\ndata: c\ndata: d\n\n");
  expect(event("message", "c", "x\n\nevent: y\nid: 7")).not.toMatch(/^(event|id):/m);
  expect(event("message", "c", new Uint8Array([0xff]))).toBe("data: message,c,\uFFFD\n\n");
});

test("the connection goes when the client goes, 20 times", async () => {
  await using gateway = opened();
  const channel = fresh();
  for (let round = 0; round < 20; round++) {
    const stream = await listen(gateway, `/subscribe/${channel}`);
    await until(() => stream.text !== "", { what: "subscribed" });
    expect(await listeners(channel)).toBe(1);
    await stream[Symbol.asyncDispose]();
    await until(async () => await listeners(channel) === 0, { what: "unsubscribed" });
  }
});

test("a client that is gone before the answer leaves nothing", async () => {
  await using gateway = opened();
  const channel = fresh();
  const controller = new AbortController();
  const request = new Request(`http://gateway.test/subscribe/${channel}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    signal: controller.signal,
  });
  const answer = gateway.fetch(request);
  controller.abort();
  await (await answer).text();
  await until(async () => await listeners(channel) === 0, { what: "unsubscribed" });
});

test("close ends the streams, and so does the end of Redis", async () => {
  await using redis = await startRedis();
  const gateway = opened({ redis: redis.url });
  await using first = await listen(gateway, "/subscribe/a");
  await until(() => first.text !== "", { what: "subscribed" });
  await redis.kill9();
  await until(() => first.ended, { what: "ended with Redis" });
  await redis.start();
  await using second = await listen(gateway, "/subscribe/a");
  await until(() => second.text !== "", { what: "subscribed" });
  await gateway.close();
  await until(() => second.ended, { what: "ended with the gateway" });
});

test("a silent stream says a word now and then", async () => {
  await using gateway = opened({ heartbeat: "20ms" });
  await using stream = await listen(gateway, `/subscribe/${fresh()}`);
  await until(() => stream.text.endsWith(": alive\n\n: alive\n\n"), { what: "two comments" });
});

test("subscriptions have a bound, and free it", async () => {
  await using gateway = opened({ maxSubscriptions: 2 });
  const path = `/subscribe/${fresh()}`;
  await using _one = await listen(gateway, path);
  const two = await listen(gateway, path);
  const { status, json } = await gateway.ask(path);
  expect([status, json]).toEqual([503, { error: "ERR max subscriptions exceeded" }]);
  await two[Symbol.asyncDispose]();
  await using three = await listen(gateway, path);
  expect(three.response.status).toBe(200);
});

test("who does not read is let go, at a bound", async () => {
  await using gateway = opened();
  const channel = fresh();
  const controller = new AbortController();
  const response = await gateway.fetch(
    new Request(`http://gateway.test/subscribe/${channel}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
      signal: controller.signal,
    }),
  );
  expect(response.status).toBe(200);
  await using bare = bareClient(inject("redis"));
  const megabyte = "x".repeat(1 << 20);
  await until(async () => await bare.publish(channel, megabyte) === 0, { what: "let go", every: 1 });
  controller.abort();
});

test("a path that names no channel, or two, is refused", async () => {
  await using gateway = opened();
  for (const path of ["/subscribe", "/subscribe/", "/subscribe/a/b", "/psubscribe"]) {
    const { status, json } = await gateway.ask(path);
    expect([path, status, json]).toEqual([path, 400, { error: expect.stringMatching(/^ERR /) }]);
  }
});

test("HEAD opens no subscription", async () => {
  await using gateway = opened();
  const channel = fresh();
  expect((await gateway.ask(`/subscribe/${channel}`, { method: "HEAD" })).status).toBe(405);
  expect(await listeners(channel)).toBe(0);
});

test("what Redis says against a subscription is told", async () => {
  await using redis = await startRedis();
  await using bare = bareClient(redis.url);
  await bare.call("ACL", "SETUSER", "poor", "on", "nopass", "+@all", "resetchannels");
  await using gateway = opened({ redis: redis.url.replace("redis://", "redis://poor:x@") });
  const { status, json } = await gateway.ask("/subscribe/a");
  expect([status, json]).toEqual([400, { error: expect.stringMatching(/^NOPERM/) }]);
});
