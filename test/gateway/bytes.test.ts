import fc from "fast-check";
import { expect, test } from "vitest";
import { BASE64, bytesOf, fresh, opened } from "./setup.ts";

/** A URL parser takes these away, percent signs or not. */
const DOTS = [".", ".."];

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.uint8Array({ minLength: 300, maxLength: 3000 }),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => new TextEncoder().encode(text)),
  fc.constantFrom("OK", "", "null", "+OK\r\n", "$-1\r\n", "\r\n", "\uFEFFx").map((text) =>
    new TextEncoder().encode(text)
  ),
);

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  // Lone surrogates too.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }).map((codes) =>
    String.fromCharCode(...codes)
  ),
  fc.constantFrom(
    "9223372036854775808",
    "😀",
    "\ud800",
    "a\udc00b",
    "\0",
    "\u2028",
    "OK",
    '{"a":1}',
    "\uFEFF",
  ),
);

function seen(kinds: Map<string, number>, kind: string): void {
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
}

/** What UTF-8 makes of a text: a lone surrogate has no form in it. */
function wellFormed(value: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(value));
}

test("bytes come back as they went in: by body and by path, read as base64", async () => {
  await using gateway = opened();
  const key = fresh();
  const kinds = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(bytes, fc.boolean(), async (value, byPath) => {
      const dots = DOTS.includes(new TextDecoder().decode(value));
      const sent = (byPath && !dots) || value.length === 0
        ? await gateway.ask(
          `/set/${key}/${Array.from(value, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")}`,
        )
        : await gateway.ask(`/set/${key}`, { body: Uint8Array.from(value) });
      expect(sent.json).toEqual({ result: "OK" });
      const got = await gateway.ask(`/get/${key}`, { headers: BASE64 });
      // "OK" is the one string that is not encoded.
      if (new TextDecoder().decode(value) === "OK") expect(got.json).toEqual({ result: "OK" });
      else expect(bytesOf(got)).toEqual(Uint8Array.from(value));
      seen(kinds, byPath ? "path" : "body");
      seen(kinds, value.length === 0 ? "empty" : value.some((byte) => byte > 127) ? "not ASCII" : "ASCII");
      if (value.includes(13) || value.includes(0)) seen(kinds, "CR or NUL");
    }),
    { numRuns: 200 },
  );
  for (const kind of ["path", "body", "empty", "not ASCII", "ASCII", "CR or NUL"]) {
    expect([kind, kinds.get(kind) ?? 0]).toEqual([kind, expect.toSatisfy((count: number) => count >= 5)]);
  }
  await gateway.run("del", key);
});

test("texts come back as they went in, but for lone surrogates, in values, fields and keys", async () => {
  await using gateway = opened();
  const key = fresh();
  const kinds = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(text, text, async (field, value) => {
      const rows = JSON.stringify([["HSET", key, field, value], ["HGETALL", key], ["DEL", key], [
        "ECHO",
        value,
      ]]);
      const answer = await gateway.ask("/pipeline", { body: rows });
      expect(answer.json).toEqual([
        { result: 1 },
        { result: [wellFormed(field), wellFormed(value)] },
        { result: 1 },
        { result: wellFormed(value) },
      ]);
      seen(kinds, wellFormed(value) === value ? "well-formed" : "lone surrogate");
    }),
    { numRuns: 200 },
  );
  expect(kinds.get("well-formed") ?? 0).toBeGreaterThan(50);
  expect(kinds.get("lone surrogate") ?? 0).toBeGreaterThan(10);
});

test("bytes that are no UTF-8 become U+FFFD without base64", async () => {
  await using gateway = opened();
  const key = fresh();
  await gateway.ask(`/set/${key}/a%FFb%C3`);
  expect(await gateway.run("getdel", key)).toEqual({ result: "a\uFFFDb\uFFFD" });
});

test("values of a megabyte and more pass both ways", async () => {
  await using gateway = opened();
  const key = fresh();
  const value = 'é"\\\n'.repeat(1 << 18);
  expect(await gateway.run("SET", key, value)).toEqual({ result: "OK" });
  expect((await gateway.run("GET", key) as { result: string }).result === value).toBe(true);
  const raw = new Uint8Array(4 << 20).map((_, index) => index % 251);
  expect((await gateway.ask(`/set/${key}`, { body: raw })).json).toEqual({ result: "OK" });
  const back = bytesOf(await gateway.ask(`/getdel/${key}`, { headers: BASE64 }));
  // Compared at once: element by element takes half a minute.
  expect(Buffer.compare(back, raw)).toBe(0);
});
