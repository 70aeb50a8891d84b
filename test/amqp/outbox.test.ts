import fc from "fast-check";
import { expect, test } from "vitest";
import { Outbox } from "../../adapters/amqp/outbox.ts";

test("what is written in one turn leaves in one piece, in order", () => {
  const sent: Uint8Array[] = [];
  const turns: (() => void)[] = [];
  const out = new Outbox((bytes) => sent.push(bytes), (callback) => turns.push(callback));
  out.append(Uint8Array.of(1));
  out.beforeFlush(() => out.append(Uint8Array.of(3)));
  out.append(Uint8Array.of(2));
  expect(sent).toEqual([]);
  expect(turns).toHaveLength(1);
  turns.shift()?.();
  expect(sent).toEqual([Uint8Array.of(1, 2, 3)]);
  expect(out.flushes).toBe(1);
  for (const turn of turns.splice(0)) turn();
  expect(sent).toHaveLength(1);
  out.append(Uint8Array.of(4));
  for (const turn of turns.splice(0)) turn();
  expect(sent).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
});

test("a buffer that left is never written to again", () => {
  const sent: Uint8Array[] = [];
  const out = new Outbox((bytes) => sent.push(bytes), () => {});
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 5000 })), (parts) => {
    sent.length = 0;
    for (const part of parts) {
      out.append(part);
      out.flush();
    }
    expect(sent.map((bytes) => [...bytes])).toEqual(
      parts.filter((part) => part.length > 0).map((part) => [...part]),
    );
  }));
});

test("strings are UTF-8 whatever their length", () => {
  const out = new Outbox(() => {}, () => {});
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 300 }),
    fc.string({ unit: "binary", maxLength: 60 }),
  );
  fc.assert(fc.property(text, (value) => {
    const mark = out.end;
    out.longString(value);
    const bytes = out.since(mark);
    const expected = new TextEncoder().encode(value);
    expect(new DataView(bytes.buffer).getUint32(0)).toBe(expected.length);
    expect(bytes.subarray(4).join()).toBe(expected.join());
  }));
});

test("a mebibyte does not wait for the end of the turn", () => {
  let sent = 0;
  const out = new Outbox((bytes) => sent += bytes.length, () => {});
  out.append(new Uint8Array(1 << 20));
  expect(sent).toBe(1 << 20);
});
