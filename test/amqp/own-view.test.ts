/**
 * What a connection of one call writes through the library's view, against our own encoder.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writeProperties, writePublish } from "../../adapters/amqp/encode.ts";
import { Outbox } from "../../adapters/amqp/outbox.ts";
import { ownView } from "../../adapters/amqp/own-view.ts";
import type { Message, Outgoing } from "../../src/broker.ts";

const OwnView = await ownView();
const FRAME_MAX = 8192;

function outgoing(part: Partial<Message> = {}, mustRoute = true): Outgoing {
  const message = { headers: {}, properties: {}, contentType: "", contentEncoding: "", ...part };
  return {
    message: { ...message, body: part.body ?? new Uint8Array(0) },
    to: { exchange: "x", routingKey: "ké" },
    mustRoute,
  };
}

function ours({ message, to, mustRoute }: Outgoing): Uint8Array {
  const out = new Outbox(() => {}, () => {});
  writePublish(out, 3, FRAME_MAX, { ...to, mandatory: mustRoute }, message);
  return out.since(0);
}

function theirs(page: InstanceType<typeof OwnView>, each: Outgoing): Uint8Array {
  const parts: Uint8Array[] = [];
  page.write(each, 3, (bytes) => parts.push(bytes.slice()));
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const { field } = fc.letrec<{ field: unknown }>((tie) => ({
  field: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.string({ unit: "grapheme" }),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double(),
    fc.uint8Array(),
    fc.array(tie("field"), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 60 }), tie("field"), { maxKeys: 5 }),
  ),
}));

const text = fc.string({ maxLength: 60 });
const octet = fc.option(fc.integer({ min: 0, max: 255 }));
const properties = fc.record({
  delivery_mode: octet,
  priority: octet,
  correlation_id: text,
  reply_to: fc.option(text),
  expiration: text,
  timestamp: fc.nat(),
  cluster_id: text,
}, { requiredKeys: [] });

describe("a publish", () => {
  test("is byte for byte what our encoder writes, with one page for all", () => {
    const page = new OwnView(new Uint8Array(FRAME_MAX));
    let frames = 0;
    fc.assert(
      fc.property(
        fc.record({
          headers: fc.dictionary(text, field, { maxKeys: 5 }),
          properties,
          contentType: text,
          contentEncoding: text,
          body: fc.integer({ min: 0, max: 3 * FRAME_MAX }).map((size) => new Uint8Array(size).fill(size)),
        }),
        fc.boolean(),
        (message, mustRoute) => {
          const each = outgoing(message, mustRoute);
          const [met, wanted] = [theirs(page, each), ours(each)];
          // Vitest takes a tenth of a second to find so many bytes alike.
          if (met.length !== wanted.length || met.some((byte, at) => byte !== wanted[at])) {
            expect(met).toEqual(wanted);
          }
          frames += Math.ceil(message.body.length / (FRAME_MAX - 8));
        },
      ),
      { numRuns: 200 },
    );
    console.log(`body frames: ${frames}`);
    expect(frames).toBeGreaterThan(100);
  });

  test("gives its properties as they went out, and reads them back so", () => {
    const each = outgoing({
      headers: { a: 0.1, b: 2 ** 40 },
      properties: { priority: 0 },
      body: Uint8Array.of(1),
    });
    const out = new Outbox(() => {}, () => {});
    writeProperties(out, each.message);
    const parts: Uint8Array[] = [];
    const page = new OwnView(new Uint8Array(FRAME_MAX));
    const written = page.write(each, 1, (bytes) => parts.push(bytes.slice()));
    expect(written).toEqual(out.since(0));
    const [head] = parts as [Uint8Array];
    const [read, size] = new OwnView(head).getProperties(head.length - 1 - written.length);
    expect([read, size]).toEqual([written, written.length]);
  });

  test.each([
    ["a key over 255 bytes", { headers: { ["k".repeat(256)]: 1 } }],
    ["headers over a frame", { headers: { long: "x".repeat(FRAME_MAX) } }],
    ["headers without end", { headers: circular() }],
    ["an integer over 64 bits", { headers: { big: 2n ** 64n } }],
    ["a function", { headers: { call: () => {} } }],
    ["a priority that is none", { properties: { priority: 256 } }],
    ["a delivery mode with a fraction", { properties: { delivery_mode: 1.5 } }],
    ["a timestamp that is none", { properties: { timestamp: "soon" } }],
  ])("%s is refused before anything is sent", (_what, part) => {
    const page = new OwnView(new Uint8Array(FRAME_MAX));
    const sent: Uint8Array[] = [];
    expect(() => page.write(outgoing(part), 1, (bytes) => sent.push(bytes))).toThrow(Error);
    expect(sent).toEqual([]);
    expect(theirs(page, outgoing())).toEqual(ours(outgoing()));
  });
});

function circular(): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  headers["self"] = headers;
  return headers;
}
