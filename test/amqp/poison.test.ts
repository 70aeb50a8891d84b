/**
 * Messages whose headers cannot be read, or not to their end: they are delivered all the same, and neither their connection nor their
 * neighbours suffer. An error instead would bring them again on the next connection, and so for ever.
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { expect, test } from "vitest";
import { CarefulView } from "../../adapters/amqp/view.ts";
import { textOf } from "../../src/testing/contract/letter.ts";
import { events, Rig, take } from "./rig.ts";

const utf8 = new TextEncoder();

function joined(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function short(text: string): Uint8Array {
  const bytes = utf8.encode(text);
  return joined([bytes.length], bytes);
}

function frame(type: number, channel: number, payload: Uint8Array): Uint8Array {
  return joined([type, 0, channel], u32(payload.length), payload, [206]);
}

/** A header frame's payload for `body`, with `table` as its headers and `after` behind them. */
function header(
  body: Uint8Array,
  table: Uint8Array,
  flags = 0x2000,
  after: Uint8Array = joined(),
): Uint8Array {
  const start = joined([0, 60, 0, 0], u32(0), u32(body.length), [flags >> 8, flags & 255]);
  return joined(start, u32(table.length), table, after);
}

/** Arrays or tables, `depth` of them, one in the other; the innermost is empty. */
function nest(kind: "A" | "F", depth: number): Uint8Array {
  // A table's entry begins with its key, here the empty one.
  const step = kind === "A" ? 5 : 6;
  const bytes = new Uint8Array(depth * step - (step - 5));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += step) {
    bytes[at] = kind.charCodeAt(0);
    view.setUint32(at + 1, bytes.length - at - 5);
  }
  return bytes;
}

/** Publishes `body` with a hand-made header frame, behind our own writer's back. */
async function plant(rig: Rig, queue: string, make: (body: Uint8Array) => Uint8Array): Promise<void> {
  const client = new AMQPClient(`${rig.url}?frameMax=131072`);
  await client.connect();
  const channel = await client.channel();
  const body = utf8.encode("poison");
  const method = joined([0, 60, 0, 40, 0, 0], short(""), short(queue), [0]);
  const before = await rig.count(queue);
  client.socket?.write(
    joined(
      frame(1, channel.id, method),
      frame(2, channel.id, make(body)),
      frame(3, channel.id, body),
    ),
  );
  await rig.counts(queue, before + 1);
  await client.close();
}

function depthOf(value: unknown): number {
  let depth = 0;
  let inner = value;
  for (; typeof inner === "object" && inner !== null; depth++) inner = Object.values(inner)[0];
  return depth;
}

test.each(
  [["A", 3000], ["F", 3000], ["A", 20_000], ["F", 20_000], ["A", 101], ["F", 101], ["A", 100], [
    "F",
    100,
  ]] as const,
)(
  "headers of kind %s nested %i deep are read to level 100, the rest of the message is whole",
  async (kind, depth) => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const table = joined(short("x"), nest(kind, depth), short("id"), [0x53], u32(2), utf8.encode("me"));
    await rig.fill(queue, ["before"]);
    await plant(rig, queue, (body) => header(body, table, 0x2000 | 0x0080, short("the message id")));
    await rig.fill(queue, ["after"]);
    const broker = rig.broker();
    const seen = events(broker);
    const consumer = broker.consume([queue], { prefetch: 10 });
    const got = await take(consumer, 3);
    expect(got.map(({ message }) => textOf(message))).toEqual(["before", "poison", "after"]);
    expect(got[1]?.message.headers["id"]).toBe("me");
    expect(got[1]?.message.properties["message_id"]).toBe("the message id");
    expect(depthOf(got[1]?.message.headers["x"])).toBe(100);
    expect(got.some(({ redelivered }) => redelivered)).toBe(false);
    for (const delivery of got) expect(await delivery.settle({ as: "ack" })).toBe("settled");
    await consumer.stop();
    expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
  },
);

test("a property that the library does not know does not shift what follows", async () => {
  await using rig = await Rig.start();
  const queue = await rig.queue();
  await plant(rig, queue, (body) => header(body, joined(), 0x2000 | 0x0004, short("a cluster's id")));
  await rig.fill(queue, ["after"]);
  const broker = rig.broker();
  const seen = events(broker);
  const got = await take(broker.consume([queue], { prefetch: 10 }), 2);
  expect(got.map(({ message }) => textOf(message))).toEqual(["poison", "after"]);
  expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
});

test("a message whose headers make no sense comes without any, on a link that stays up", async () => {
  await using rig = await Rig.start();
  const queue = await rig.queue();
  await rig.fill(queue, ["1", "2", "3"]);
  // RabbitMQ itself sends nothing of the kind: the proxy falsifies the type of the second message's header.
  const sign = joined(short("lang"), [0x53]);
  let found = 0;
  rig.proxy.onChunk = (direction, bytes) => {
    if (direction === "up") return;
    for (let at = 0; at < bytes.length; at++) {
      if (!sign.every((byte, offset) => bytes[at + offset] === byte)) continue;
      if (++found === 2) bytes[at + sign.length - 1] = 0x51;
    }
  };
  const broker = rig.broker();
  const seen = events(broker);
  const consumer = broker.consume([queue], { prefetch: 10 });
  const got = await take(consumer, 3);
  expect(got.map(({ message }) => textOf(message))).toEqual(["1", "2", "3"]);
  expect(got.map(({ message }) => Object.keys(message.headers).length > 0)).toEqual([true, false, true]);
  expect(await got[1]?.settle({ as: "reject" })).toBe("settled");
  await consumer.stop();
  expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
});

test.each([
  ["an unknown type", joined(short("x"), [0x51])],
  ["a string that ends in the next frame", joined(short("x"), [0x53], u32(20))],
  ["a table that ends in the next frame", joined(short("x"), [0x46], u32(30))],
  ["an array that ends outside of everything", joined(short("x"), [0x41], u32(2 ** 31))],
])("%s is contained in its frame", (_what, table) => {
  const payload = header(utf8.encode("body"), table);
  const bytes = joined(
    frame(2, 1, payload),
    frame(3, 1, utf8.encode("body, and more of it so that there is room")),
  );
  const at = 7 + 12;
  expect(new CarefulView(bytes).getProperties(at)).toEqual([{}, payload.length - 12]);
});
