import { describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { compress } from "../../src/protocol/compression.ts";
import { openContent, packContent } from "../../src/protocol/content.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { pause } from "../support/wait.ts";

function message(body: string | Uint8Array, more: Partial<Message> = {}): Message {
  return {
    headers: {},
    properties: {},
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    ...more,
  };
}

const accept = ["json"];

async function opened(
  given: Message,
  options: Partial<Parameters<typeof openContent>[1]> = {},
): Promise<string> {
  return await openContent(given, { accept, turn: () => pause(0), ...options });
}

describe("packContent", () => {
  test("gives JSON at once, and a promise only where it compresses", async () => {
    expect(packContent([1, "é"])).toEqual({
      contentType: "application/json",
      contentEncoding: "utf-8",
      body: new TextEncoder().encode('[1, "\\u00e9"]'),
    });
    for (const name of ["gzip", "zlib", "application/x-gzip"]) {
      const packed = await packContent([1], { compression: name });
      expect(packed.compression).toBe("application/x-gzip");
      expect(await opened(message(packed.body, { headers: { compression: name } }))).toBe("[1]");
    }
  });

  test.each([
    [{ serializer: "pickle" }, "serializer-unsupported"],
    [{ serializer: "yaml" }, "serializer-unsupported"],
    [{ serializer: "msgpack" }, "serializer-unsupported"],
    [{ serializer: "nonsense" }, "serializer-unsupported"],
    [{ compression: "bzip2" }, "compression-unsupported"],
    [{ compression: "zstd" }, "compression-unsupported"],
    [{ limits: { ...DEFAULT_LIMITS, maxBody: 3 } }, "encode-too-large"],
    [{ limits: { ...DEFAULT_LIMITS, maxDepth: 1 } }, "json-depth"],
  ])("refuses %j", (options, code) => {
    expect(() => packContent([[1]], options)).toThrow(expect.objectContaining({ code }));
  });
});

describe("openContent", () => {
  test.each(["json", "application/json"])("accepts by name or MIME type: %s", (name) => {
    expect(openContent(message("[]"), { accept: ["pickle", name] })).toBe("[]");
  });

  test.each(["utf-8", "UTF-8", "utf8", "us-ascii", "binary", ""])(
    "reads UTF-8 that calls itself %j",
    (contentEncoding) => {
      expect(openContent(message('["é"]', { contentEncoding }), { accept })).toBe('["é"]');
    },
  );

  test.each<[string, Partial<Message>, string, readonly string[]]>([
    ["no content type", { contentType: "" }, "decode-content-type", accept],
    ["one that kombu trusts unasked", { contentType: "application/data" }, "content-disallowed", accept],
    [
      "a charset behind the content type",
      { contentType: "application/json; charset=utf-8" },
      "content-disallowed",
      accept,
    ],
    [
      "the same where the MIME type is accepted",
      { contentType: "application/json; charset=utf-8" },
      "content-disallowed",
      ["application/json"],
    ],
    ["another case", { contentType: "Application/JSON" }, "content-disallowed", accept],
    ["text", { contentType: "text/plain" }, "content-disallowed", accept],
    ["pickle", { contentType: "application/x-python-serialize" }, "content-disallowed", accept],
    ["JSON where only YAML is accepted", {}, "content-disallowed", ["yaml"]],
    [
      "pickle though it is accepted",
      { contentType: "application/x-python-serialize" },
      "decode-content-type",
      ["pickle"],
    ],
    ["YAML though it is accepted", { contentType: "application/x-yaml" }, "decode-content-type", ["yaml"]],
    ["JSON in UTF-16", { contentEncoding: "utf-16" }, "decode-encoding", accept],
    ["bytes that are no UTF-8", { body: Uint8Array.of(0xff) }, "decode-utf8", accept],
    ["bzip2", { headers: { compression: "application/x-bz2" } }, "compression-unsupported", accept],
    ["lzma", { headers: { compression: "application/x-lzma" } }, "compression-unsupported", accept],
    ["brotli", { headers: { compression: "application/x-brotli" } }, "compression-unsupported", accept],
    ["zstd", { headers: { compression: "application/zstd" } }, "compression-unsupported", accept],
    [
      "a compression that nobody knows",
      { headers: { compression: "x\n" } },
      "compression-unsupported",
      accept,
    ],
    ["a compression that is no text", { headers: { compression: 7 } }, "compression-unsupported", accept],
    ["plain text said to be compressed", { headers: { compression: "gzip" } }, "decode-compression", accept],
    [
      "an empty body said to be compressed",
      { headers: { compression: "gzip" }, body: new Uint8Array() },
      "decode-compression",
      accept,
    ],
  ])("refuses %s", async (_name, more, code, accept) => {
    await expect(opened(message("[]", more), { accept })).rejects.toMatchObject({ code });
  });

  test("refuses a real gzip stream, and one that is cut or has been changed, as kombu does", async () => {
    const headers = { compression: "application/x-gzip" };
    const whole = await compress(new TextEncoder().encode("[1, 2, 3]".repeat(100)));
    const gzip = new Uint8Array(
      await new Response(new Blob(["[]"]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
    );
    const changed = whole.slice();
    changed.fill(0x55, 3, 9);
    for (const body of [gzip, whole.slice(0, -6), changed]) {
      await expect(opened(message(body, { headers }))).rejects.toMatchObject({ code: "decode-compression" });
    }
  });

  test("refuses a body over the limit before it looks into it", () => {
    const limits = { ...DEFAULT_LIMITS, maxBody: 5 };
    expect(() => openContent(message("[1234]", { headers: { compression: "gzip" } }), { accept, limits }))
      .toThrow(
        expect.objectContaining({ name: "DecodeError", code: "decode-too-large" }),
      );
  });

  test("stops a zip bomb at the limit: soon, and with little memory", async () => {
    const bomb = await compress(new Uint8Array(200 * 2 ** 20));
    expect(bomb.length).toBeLessThan(300_000);
    const limits = { ...DEFAULT_LIMITS, maxDecompressed: 2 ** 20 };
    const before = process.memoryUsage().rss;
    const started = performance.now();
    await expect(opened(message(bomb, { headers: { compression: "gzip" } }), { limits })).rejects
      .toMatchObject({
        name: "DecodeError",
        code: "decode-too-large",
      });
    const took = performance.now() - started;
    const grew = process.memoryUsage().rss - before;
    console.log(
      `zip bomb of 200 MiB refused in ${took.toFixed(1)} ms, ${(grew / 2 ** 20).toFixed(1)} MiB more memory`,
    );
    expect(took).toBeLessThan(500);
    expect(grew).toBeLessThan(60 * 2 ** 20);
  });

  test.each<[string, () => string]>([
    ["a list of 100,000 zeros", () => `[${"0, ".repeat(99_999)}0]`],
    ["a million zeros", () => `[${"0, ".repeat(999_999)}0]`],
    ["7 MiB of one record", () => `[${'{"name": "x", "value": null}, '.repeat(250_000)}0]`],
    [
      "15 MiB of counted records",
      () =>
        `[${
          Array.from({ length: 180_000 }, (_, at) =>
            `{"id": ${at}, "name": "customer ${
              at * 7919 % 1_000_003
            }", "active": true, "notes": null, "tags": []}`).join(
              ", ",
            )
        }]`,
    ],
  ])("opens %s: what compresses well is no bomb", async (_name, make) => {
    const text = make();
    const body = await compress(new TextEncoder().encode(text));
    console.log(`${_name}: ${text.length} bytes, 1:${Math.round(text.length / body.length)}`);
    expect(await opened(message(body, { headers: { compression: "gzip" } }))).toBe(text);
  });

  test("refuses more than 8 MiB where it is more than a hundred times what came, and more than 16 MiB at all", async () => {
    const headers = { compression: "gzip" };
    const bomb = await compress(new Uint8Array(8 * 2 ** 20 + 1).fill(32));
    await expect(opened(message(bomb, { headers }))).rejects.toMatchObject({ code: "decode-too-large" });
    const most = await compress(new Uint8Array(8 * 2 ** 20).fill(32));
    expect(await opened(message(most, { headers }))).toHaveLength(8 * 2 ** 20);
    const chance = Uint8Array.from({ length: 17 * 2 ** 20 }, (_, at) => 97 + (at * 7919 >> 5) % 23);
    await expect(opened(message(await compress(chance), { headers }))).rejects.toMatchObject({
      code: "decode-too-large",
    });
  });

  test("opens what is just as large as the limit", async () => {
    const text = `"${"a".repeat(998)}"`;
    const packed = await packContent("a".repeat(998), { compression: "gzip" });
    const given = message(packed.body, { headers: { compression: "gzip" } });
    expect(await opened(given, { limits: { ...DEFAULT_LIMITS, maxDecompressed: 1000 } })).toBe(text);
    await expect(opened(given, { limits: { ...DEFAULT_LIMITS, maxDecompressed: 999 } })).rejects
      .toMatchObject({ code: "decode-too-large" });
  });

  test("opens a large body that arrives in many pieces", async () => {
    const value = Array.from({ length: 200_000 }, (_, index) => index * 7919 % 1_000_003);
    const packed = await packContent(value, { compression: "gzip" });
    expect(JSON.parse(await opened(message(packed.body, { headers: { compression: "gzip" } })))).toEqual(
      value,
    );
  });

  test("a byte order mark is broken JSON, as for Python", () => {
    expect(openContent(message("\ufeff[]"), { accept })).toBe("\ufeff[]");
  });
});
