/**
 * What a connection of one call writes through the library's view, against our own encoder.
 *
 * @module
 */
import { AMQPBaseClient } from "@cloudamqp/amqp-client/amqp-base-client";
import { AMQPChannel } from "@cloudamqp/amqp-client/amqp-channel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writeProperties, writePublish } from "../../adapters/amqp/encode.ts";
import type { Letter } from "../../adapters/amqp/letter.ts";
import { Outbox } from "../../adapters/amqp/outbox.ts";
import { ownView } from "../../adapters/amqp/own-view.ts";
import { type Post, postBy } from "../../adapters/amqp/post.ts";
import type { Message, Outgoing } from "../../src/broker.ts";

const OwnView = await ownView();
const FRAME_MAX = 8192;

/** The library's client, connected to nobody. */
class Unplugged extends AMQPBaseClient {
  readonly sent: Uint8Array[] = [];

  constructor() {
    super("/", "guest", "guest", "", "", FRAME_MAX);
  }

  override connect(): Promise<AMQPBaseClient> {
    return Promise.resolve(this);
  }

  override async send(bytes: Uint8Array): Promise<void> {
    this.sent.push(bytes.slice());
  }

  protected override closeSocket(): void {}
}

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

/** A post, and what it sends; without confirms, so that what was sent counts as confirmed. */
function posting(): { readonly post: Post; readonly sent: Uint8Array[] } {
  const client = new Unplugged();
  const page = new OwnView(new Uint8Array(FRAME_MAX));
  return { post: postBy(client, new AMQPChannel(client, 3), page), sent: client.sent };
}

async function theirs({ post, sent }: ReturnType<typeof posting>, each: Outgoing): Promise<Uint8Array> {
  const letter: Letter = { outgoing: each, verdict: undefined };
  await post(letter);
  expect(letter).toMatchObject({ verdict: { is: "confirmed" }, written: true });
  return Uint8Array.from(sent.splice(0).flatMap((part) => [...part]));
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
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.uint8Array(),
    fc.array(tie("field"), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 60 }), tie("field"), { maxKeys: 5 }),
  ),
}));

const text = fc.string({ minLength: 1, maxLength: 60 });
const octet = fc.option(fc.integer({ min: 0, max: 255 }));
const properties = fc.record({
  delivery_mode: octet,
  priority: octet,
  correlation_id: text,
  reply_to: fc.option(text),
  expiration: text,
  timestamp: fc.nat(),
  message_id: text,
  type: text,
  user_id: text,
  app_id: text,
}, { requiredKeys: [] });

describe("a publish", () => {
  test("is byte for byte what our encoder writes, with one page for all", async () => {
    const all = posting();
    let frames = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          headers: fc.dictionary(text, field, { maxKeys: 5 }),
          properties,
          contentType: text,
          contentEncoding: text,
          body: fc.integer({ min: 0, max: 3 * FRAME_MAX }).map((size) => new Uint8Array(size).fill(size)),
        }),
        fc.boolean(),
        async (message, mustRoute) => {
          const each = outgoing(message, mustRoute);
          const [met, wanted] = [await theirs(all, each), ours(each)];
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

  test("that comes back is read, whatever its headers hold", () => {
    const { message } = outgoing({
      headers: { a: 0.1, b: -(2 ** 40), c: [{ d: new Uint8Array(3) }] },
      properties: { priority: 0, correlation_id: "c" },
    });
    const out = new Outbox(() => {}, () => {});
    writeProperties(out, message);
    const bytes = out.since(0);
    const [read, size] = new OwnView(bytes).getProperties(0);
    expect(read).toMatchObject({ correlationId: "c", priority: 0 });
    expect(size).toBe(bytes.length);
  });

  test.each([
    ["a key over 255 bytes", { headers: { ["k".repeat(256)]: 1 } }],
    ["headers over a frame", { headers: { long: "x".repeat(FRAME_MAX) } }],
    ["headers without end", { headers: circular() }],
    ["an integer over 64 bits", { headers: { big: 2n ** 64n } }],
    ["NaN", { headers: { ratio: NaN } }],
    ["an infinite number in a table", { headers: { deep: { ratio: [-Infinity] } } }],
    ["a function", { headers: { call: () => {} } }],
    ["a priority that is none", { properties: { priority: 256 } }],
    ["a delivery mode with a fraction", { properties: { delivery_mode: 1.5 } }],
    ["a timestamp that is none", { properties: { timestamp: "soon" } }],
  ])("%s is refused, and nothing of it is sent", async (_what, part) => {
    const all = posting();
    const letter: Letter = { outgoing: outgoing(part), verdict: undefined };
    await all.post(letter);
    expect(letter.verdict).toMatchObject({ is: "refused", retry: false });
    expect(all.sent).toEqual([]);
    expect(await theirs(all, outgoing())).toEqual(ours(outgoing()));
  });

  test("fails aloud where the library keeps no pages that could be ours", async () => {
    const client = Object.assign(new Unplugged(), { bufferPool: undefined });
    const post = postBy(client, new AMQPChannel(client, 3), new OwnView(new Uint8Array(FRAME_MAX)));
    const letter: Letter = { outgoing: outgoing(), verdict: undefined };
    await post(letter);
    expect(letter.verdict).toMatchObject({ is: "refused" });
    expect(client.sent).toEqual([]);
  });
});

function circular(): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  headers["self"] = headers;
  return headers;
}
