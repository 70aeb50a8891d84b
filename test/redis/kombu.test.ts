/** kombu's wire in Redis: what we write is what real Celery 5.6.2 wrote, byte for byte. */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { describe, expect, inject, test } from "vitest";
import { upstashBroker } from "../../adapters/redis/http.ts";
import { envelope, stepOf } from "../../adapters/redis/kombu.ts";
import type { Entity, Message } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { startGateway } from "../support/gateway.ts";
import { message } from "./http-setup.ts";
import type { Envelope } from "./kombu-reader.ts";
import { bareClient } from "./setup.ts";

interface Stored {
  readonly type: "list" | "set" | "string";
  readonly items?: readonly string[];
  readonly members?: readonly string[];
}

const VECTORS = JSON.parse(
  readFileSync(new URL("../vectors/task-messages.redis.celery-5.6.2.json", import.meta.url), "utf8"),
) as Record<string, Record<string, Stored>>;

/** The message that the sender gave to kombu, from what kombu made of it. */
function opened(text: string): { message: Message; exchange: string; routingKey: string; tag: string } {
  const read = JSON.parse(text) as Envelope;
  const { delivery_info, body_encoding: _, delivery_tag: tag, ...properties } = read.properties;
  return {
    message: {
      headers: read.headers,
      properties,
      contentType: read["content-type"],
      contentEncoding: read["content-encoding"],
      body: new Uint8Array(Buffer.from(read.body, "base64")),
    },
    exchange: delivery_info.exchange,
    routingKey: delivery_info.routing_key,
    tag,
  };
}

describe.each(Object.entries(VECTORS))("vector %s", (_name, database) => {
  const lists = Object.entries(database).filter(([, { type }]) => type === "list");

  test("each envelope is the same text", () => {
    for (const [, { items = [] }] of lists) {
      for (const item of items) {
        const { message: sent, exchange, routingKey, tag } = opened(item);
        // Our messages have their properties in another order.
        const { delivery_mode, priority, ...rest } = sent.properties;
        const ours = { ...sent, properties: { delivery_mode, priority, ...rest } };
        expect(envelope(ours, { exchange, routingKey }, tag)).toBe(item);
      }
    }
  });

  test("publishing it makes the same lists in the same order, and the same bindings", async () => {
    await using redis = bareClient();
    await using gateway = await startGateway({ redis: inject("redis") });
    const globalKeyprefix = `vector-${crypto.randomUUID()}.`;
    const sent = lists.flatMap(([, { items = [] }]) => [...items].reverse().map((item) => opened(item)));
    const tags = sent.map(({ tag }) => tag);
    // The id of the publish is drawn after those of its messages.
    const ids = { uuid: () => tags.shift() ?? crypto.randomUUID() };
    const { url, token } = gateway;
    const broker = upstashBroker({ url, token, globalKeyprefix, platform: { ...systemPlatform, ids } });
    const declare: Entity[] = Object.entries(database).flatMap(([key, { members = [] }]) =>
      members.map((member): Entity => {
        const [routingKey = "", , queue = ""] = member.split("\x06\x16");
        return { kind: "binding", exchange: key.replace("_kombu.binding.", ""), routingKey, queue };
      })
    );
    const verdicts = await broker.publish(
      sent.map(({ message: one, exchange, routingKey }) => ({
        message: one,
        to: { exchange, routingKey },
        mustRoute: true,
      })),
      { declare },
    );
    expect(verdicts.map(({ is }) => is)).toEqual(sent.map(() => "confirmed"));
    expect(gateway.requests).toHaveLength(1);
    for (const [key, { items = [] }] of lists) {
      expect(await redis.lrange(globalKeyprefix + key, 0, -1)).toEqual(items);
    }
    for (const [key, { type, members = [] }] of Object.entries(database)) {
      if (type === "set") expect(await redis.smembers(globalKeyprefix + key)).toEqual(members);
    }
    await redis.del(...Object.keys(database).map((key) => globalKeyprefix + key));
  });
});

test.each([
  [undefined, ""],
  [null, ""],
  ["x", ""],
  [-1, ""],
  [0, ""],
  [2, ""],
  [3, "\x06\x163"],
  ["4", "\x06\x163"],
  [5.9, "\x06\x163"],
  [6, "\x06\x166"],
  [8, "\x06\x166"],
  [9, "\x06\x169"],
  [255, "\x06\x169"],
])("priority %j is in the list with %j", (priority, step) => {
  expect(stepOf(priority)).toBe(step);
});

test("what a sender did not say is what kombu writes for it", () => {
  const { correlation_id: _id, priority: _priority, ...properties } = message().properties;
  const text = envelope({ ...message(), properties, contentType: "", contentEncoding: "" }, {
    exchange: "ex",
    routingKey: "rk",
  }, "tag");
  expect(text).toContain('"content-encoding": null, "content-type": null');
  expect(text).toContain(
    '"properties": {"reply_to": "", "delivery_mode": 2, "delivery_info": {"exchange": "ex"',
  );
  expect(text).toContain('"priority": 0, "body_encoding": "base64", "delivery_tag": "tag"}}');
});
