import fc from "fast-check";
import { expect, test } from "vitest";
import { frameSplitter } from "../../adapters/amqp/frames.ts";

function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(payload.length + 8);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(3, payload.length);
  bytes.set(payload, 7);
  bytes[bytes.length - 1] = 206;
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const frames = fc.array(
  fc.tuple(fc.constantFrom(1, 2, 3, 8), fc.uint8Array({ maxLength: 40 })).map(([type, payload]) =>
    frame(type, payload)
  ),
  { maxLength: 12 },
);

test("frames come out whole and in order, however the stream is cut", () => {
  const sizes = new Map<string, number>();
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
      const stream = joined(sent);
      const got: Uint8Array[] = [];
      const push = frameSplitter(() => 4096, (bytes) => got.push(bytes.slice()));
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = cuts[turn % cuts.length] ?? 1;
        // A socket may use its buffer again once we returned.
        const chunk = stream.slice(at, at + size);
        push(chunk);
        chunk.fill(0xff);
        at += size;
        const kind = size < 8 ? "less than a frame" : "more";
        sizes.set(kind, (sizes.get(kind) ?? 0) + 1);
      }
      expect(joined(got)).toEqual(stream);
      // Each run is made of whole frames: it ends with the end byte of one.
      for (const bytes of got) expect(wholeFrames(bytes)).toBe(true);
    }),
    { numRuns: 500 },
  );
  console.log(`chunks: ${[...sizes].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
});

function wholeFrames(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) at += new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(3) + 8;
  return at === bytes.length;
}

test("byte by byte", () => {
  const sent = [
    frame(1, Uint8Array.of(1, 2, 3)),
    frame(8, new Uint8Array(0)),
    frame(3, new Uint8Array(600).fill(7)),
  ];
  const got: Uint8Array[] = [];
  const push = frameSplitter(() => 4096, (bytes) => got.push(bytes.slice()));
  for (const byte of joined(sent)) push(Uint8Array.of(byte));
  expect(got).toEqual(sent);
});

test("many frames in one chunk are handed on in one run", () => {
  const sent = joined([frame(1, Uint8Array.of(1)), frame(2, Uint8Array.of(2)), frame(3, Uint8Array.of(3))]);
  const got: Uint8Array[] = [];
  frameSplitter(() => 4096, (bytes) => got.push(bytes))(sent);
  expect(got).toEqual([sent]);
});

test.each([
  ["one", 2, 0],
  ["several", 3, 1],
])("of the bits of a basic.nack of %s only the one for multiple is left", (_what, bits, left) => {
  const nack = frame(1, Uint8Array.of(0, 60, 0, 120, 0, 0, 0, 0, 0, 0, 0, 9, bits));
  const got: Uint8Array[] = [];
  const push = frameSplitter(() => 4096, (bytes) => got.push(bytes.slice()));
  for (const byte of nack) push(Uint8Array.of(byte));
  expect(got).toEqual([frame(1, Uint8Array.of(0, 60, 0, 120, 0, 0, 0, 0, 0, 0, 0, 9, left))]);
});

test.each([
  ["HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n"],
  ["another AMQP version's greeting", "AMQP\u0003\u0001\u0000\u0000"],
  ["a TLS alert", "\u0015\u0003\u0003\u0000\u0002\u0002\u0046"],
  ["Redis", "-ERR unknown command\r\n"],
])("%s is not AMQP", (_who, text) => {
  const push = frameSplitter(() => 4096, () => {});
  expect(() => push(Uint8Array.from(text, (letter) => letter.charCodeAt(0)))).toThrow(/^a frame of /);
});

test("a frame over the limit is not waited for, also when its header comes in pieces", () => {
  const bytes = frame(1, new Uint8Array(100));
  expect(() => frameSplitter(() => 50, () => {})(bytes.slice(0, 7))).toThrow(/^a frame of /);
  const push = frameSplitter(() => 50, () => {});
  push(bytes.slice(0, 5));
  expect(() => push(bytes.slice(5, 9))).toThrow(/^a frame of /);
});
