import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writeProperties, writePublish } from "../../adapters/amqp/encode.ts";
import { Outbox } from "../../adapters/amqp/outbox.ts";
import { writeAck, writeNack } from "../../adapters/amqp/settle.ts";
import { CarefulView } from "../../adapters/amqp/view.ts";
import type { Message } from "../../src/broker.ts";

function message(part: Partial<Message> = {}): Message {
  return {
    headers: {},
    properties: {},
    contentType: "",
    contentEncoding: "",
    body: new Uint8Array(0),
    ...part,
  };
}

function outbox(): Outbox {
  return new Outbox(() => {}, () => {});
}

function roundTrip(part: Partial<Message>): ReturnType<CarefulView["getProperties"]>[0] {
  const out = outbox();
  writeProperties(out, message(part));
  const bytes = out.since(0);
  // In the middle of a larger buffer, as in a socket's chunk.
  const inside = new Uint8Array(bytes.length + 20).subarray(7, 7 + bytes.length);
  inside.set(bytes);
  const [properties, length] = new CarefulView(inside).getProperties(0);
  expect(length).toBe(bytes.length);
  return properties;
}

function hex(write: (out: Outbox) => void): string {
  const out = outbox();
  write(out);
  return [...out.since(0)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const kinds = new Map<string, number>();
const counted = <T>(kind: string, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  arbitrary.map((value) => {
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    return value;
  });

/** The doubles that RabbitMQ reads. */
const WRITTEN = { noNaN: true, noDefaultInfinity: true };

const key = fc.oneof(fc.string({ maxLength: 60 }), fc.constantFrom("__proto__", "constructor", "é", "id"));
const { field } = fc.letrec<{ field: unknown }>((tie) => ({
  field: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    counted("string", fc.string({ unit: "grapheme" })),
    counted("boolean", fc.boolean()),
    counted("null", fc.constant(null)),
    counted("int32", fc.integer()),
    counted("beyond int32", fc.maxSafeInteger()),
    counted("int64", fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    counted("double", fc.double(WRITTEN).map((value) => (Object.is(value, -0) ? 0 : value))),
    counted("bytes", fc.uint8Array()),
    counted("date", fc.integer({ min: -(2 ** 40), max: 2 ** 40 }).map((seconds) => new Date(seconds * 1000))),
    counted("array", fc.array(tie("field"), { maxLength: 5 })),
    counted("table", fc.dictionary(key, tie("field"), { maxKeys: 5 })),
  ),
}));

/** Integers come back as numbers wherever a number holds them. */
function settled(value: unknown): unknown {
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return Number(value);
  if (Array.isArray(value)) return value.map(settled);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || value instanceof Date) {
    return value;
  }
  return Object.entries(value).map(([name, inner]) => [name, settled(inner)]);
}

describe("headers", () => {
  test("come back value for value", () => {
    fc.assert(fc.property(fc.dictionary(key, field), (headers) => {
      expect(settled(roundTrip({ headers }).headers)).toEqual(settled(headers));
    }));
    console.log(`headers seen: ${[...kinds].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
    expect(kinds.size).toBe(11);
  });

  test("fractions keep all their digits, integers from 2^31 on their sign", () => {
    const headers = { expires: 1795325354.0873113, big: 2 ** 31, bigger: 3_000_000_000, low: -(2 ** 31) - 1 };
    expect(roundTrip({ headers }).headers).toEqual(headers);
  });

  test("are typed as py-amqp types them", () => {
    // 'I' for 1, 'd' for 0.5, 't' for true, 'V' for None, 'S' for text, 'A' and 'F' around.
    const headers = { a: 1, b: 0.5, c: true, d: null, e: "x", f: [1], g: {} };
    expect(hex((out) => writeProperties(out, message({ headers })))).toBe(
      "2000" + "00000034" +
        "0161" + "49" + "00000001" +
        "0162" + "64" + "3fe0000000000000" +
        "0163" + "74" + "01" +
        "0164" + "56" +
        "0165" + "53" + "00000001" + "78" +
        "0166" + "41" + "00000005" + "4900000001" +
        "0167" + "46" + "00000000",
    );
  });

  test("__proto__ is a key like any other", () => {
    const headers = JSON.parse('{"__proto__": {"task": "evil"}, "id": "1"}') as Record<string, unknown>;
    const back = roundTrip({ headers }).headers ?? {};
    expect(Object.keys(back)).toEqual(["__proto__", "id"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(back["task"]).toBeUndefined();
  });

  test("a negative integer beyond 32 bits is py-amqp's L, which it reads as signed; a positive one the common l", () => {
    expect(hex((out) => writeProperties(out, message({ headers: { a: -(2 ** 33) } })))).toBe(
      "2000" + "0000000b" + "0161" + "4c" + "fffffffe00000000",
    );
    expect(hex((out) => writeProperties(out, message({ headers: { a: 2 ** 33 } })))).toBe(
      "2000" + "0000000b" + "0161" + "6c" + "0000000200000000",
    );
  });

  test("py-amqp's L is read as a signed integer", () => {
    const bytes = Uint8Array.of(0, 0, 0, 11, 1, 0x61, 0x4c, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0);
    expect(new CarefulView(bytes).getTable(0)[0]).toEqual({ a: -(2 ** 33) });
  });

  test("byte arrays do not change with the buffer they came in", () => {
    const out = outbox();
    writeProperties(out, message({ headers: { raw: Uint8Array.of(1, 2, 3) } }));
    const bytes = out.since(0);
    const { headers } = new CarefulView(bytes).getProperties(0)[0];
    bytes.fill(0);
    expect(headers?.["raw"]).toEqual(Uint8Array.of(1, 2, 3));
  });

  test.each([
    ["a function", { a: () => 1 }],
    ["a symbol", { a: Symbol("x") }],
    ["an integer over 64 bits", { a: 2n ** 63n }],
    ["NaN", { a: NaN }],
    ["an infinite number in a table", { a: { b: [-Infinity] } }],
    ["a name over 255 bytes", { ["é".repeat(128)]: 1 }],
    ["endless nesting", { a: nested(200) }],
  ])("%s is refused with a code", (_what, headers) => {
    expect(() => roundTrip({ headers })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^amqp-/) }),
    );
  });
});

test("a number that RabbitMQ reads as the end of the connection is told by the name of its header", () => {
  for (const value of [NaN, Infinity, { deep: [NaN] }]) {
    expect(() => roundTrip({ headers: { good: 0.5, ratio: value } })).toThrow(
      expect.objectContaining({
        code: "amqp-header",
        message: expect.stringMatching(/^The header "ratio" cannot be (NaN|Infinity)\.$/),
      }),
    );
  }
});

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

describe("properties", () => {
  test("all come back, priority 0 too", () => {
    const properties = {
      delivery_mode: 2,
      priority: 0,
      correlation_id: "c",
      reply_to: "r",
      expiration: "1000",
      message_id: "m",
      timestamp: 1_795_325_354,
      type: "t",
      user_id: "guest",
      app_id: "a",
    };
    expect(roundTrip({ properties, contentType: "application/json", contentEncoding: "utf-8" }))
      .toMatchObject({
        contentType: "application/json",
        contentEncoding: "utf-8",
        deliveryMode: 2,
        priority: 0,
        correlationId: "c",
        replyTo: "r",
        expiration: "1000",
        messageId: "m",
        timestamp: new Date(1_795_325_354_000),
        type: "t",
        userId: "guest",
        appId: "a",
      });
  });

  test("null and undefined are absent", () => {
    const back = roundTrip({ properties: { priority: null, reply_to: undefined } });
    expect(back).toEqual({ headers: {} });
  });

  test.each([["priority", 256], ["priority", -1], ["delivery_mode", 1.5], ["timestamp", "soon"]])(
    "%s %s is refused",
    (name, value) => {
      expect(() => roundTrip({ properties: { [name]: value } })).toThrow(
        expect.objectContaining({ code: "amqp-property" }),
      );
    },
  );
});

describe("publish", () => {
  test("splits the body into frames of the negotiated size", () => {
    const body = Uint8Array.from({ length: 50 }, (_, at) => at);
    const out = outbox();
    writePublish(
      out,
      3,
      28,
      { exchange: "", routingKey: "q", mandatory: true },
      message({ body, headers: {} }),
    );
    const bytes = out.since(0);
    const frames: [type: number, size: number][] = [];
    const parts: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const view = new DataView(bytes.buffer, at);
      const size = view.getUint32(3);
      frames.push([view.getUint8(0), size]);
      expect(view.getUint16(1)).toBe(3);
      expect(view.getUint8(7 + size)).toBe(206);
      if (view.getUint8(0) === 3) parts.push(...bytes.subarray(at + 7, at + 7 + size));
      at += size + 8;
    }
    expect(frames).toEqual([[1, 10], [2, 18], [3, 20], [3, 20], [3, 10]]);
    expect(parts).toEqual([...body]);
  });

  test("leaves no trace of a message that cannot be written", () => {
    const out = outbox();
    const route = { exchange: "", routingKey: "q", mandatory: true };
    writePublish(out, 1, 4096, route, message({ headers: { a: "kept" } }));
    const before = out.since(0);
    expect(() => writePublish(out, 1, 4096, route, message({ headers: { a: "kept", b: () => 1 } })))
      .toThrow();
    expect(() => writePublish(out, 1, 4096, route, message({ headers: { a: "x".repeat(5000) } }))).toThrow(
      expect.objectContaining({ code: "amqp-frame-too-large" }),
    );
    expect(out.since(0)).toEqual(before);
  });

  test("of an empty body is two frames", () => {
    const out = outbox();
    writePublish(out, 1, 4096, { exchange: "x", routingKey: "", mandatory: false }, message());
    expect(out.since(0).filter((byte) => byte === 206)).toHaveLength(2);
  });
});

test("ack and nack are the bytes of AMQP 0-9-1", () => {
  expect(hex((out) => writeAck(out, 1, 5, false))).toBe(
    "010001" + "0000000d" + "003c0050" + "0000000000000005" + "00" + "ce",
  );
  expect(hex((out) => writeAck(out, 1, 2 ** 40, true))).toBe(
    "010001" + "0000000d" + "003c0050" + "0000010000000000" + "01" + "ce",
  );
  expect(hex((out) => writeNack(out, 2, 7, true))).toBe(
    "010002" + "0000000d" + "003c0078" + "0000000000000007" + "02" + "ce",
  );
  expect(hex((out) => writeNack(out, 2, 7, false))).toBe(
    "010002" + "0000000d" + "003c0078" + "0000000000000007" + "00" + "ce",
  );
});
