/**
 * P26: whatever arrives, reading it ends in a value or in one of three coded errors, changes no prototype, and is bounded in depth.
 * Messages are arbitrary bytes, arbitrary JSON, and captured messages with parts changed.
 */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { ContentDisallowedError, DecodeError, EncodeError, InvalidTaskError } from "../../src/errors.ts";
import { compress } from "../../src/protocol/compression.ts";
import { openContent } from "../../src/protocol/content.ts";
import { decodeException } from "../../src/protocol/exception.ts";
import { decodeJson, encodeJson } from "../../src/protocol/json.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { saferepr } from "../../src/protocol/repr.ts";
import { decodeResult, resultStatus } from "../../src/protocol/result.ts";
import { packTask, readTask } from "../../src/protocol/task.ts";
import { pause } from "../support/wait.ts";
import { Coverage, text } from "./values.ts";
import { load, messageOf, type TaskFile, type WorkerFile } from "./vector-files.ts";
import { often } from "../support/thorough.ts";

const limits = { ...DEFAULT_LIMITS, maxBody: 100_000, maxDecompressed: 100_000, maxDepth: 50, maxKeys: 1000 };

const real = ["5.6.2", "5.2.6"].flatMap((version) =>
  Object.values(load<TaskFile>(`../vectors/task-messages.amqp.celery-${version}.json`).cases).flat().map(
    messageOf,
  )
);

const results = Object.values(load<WorkerFile>("../vectors/worker.celery-5.6.2.json").results)
  .flatMap(({ published }) => published.map(({ data }) => data));

const key = fc.constantFrom(
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "__type__",
  "__value__",
  "task",
  "id",
  "args",
  "kwargs",
  "callbacks",
  "chain",
  "chord",
  "options",
  "eta",
  "timelimit",
  "polluted",
);

/** JSON with the keys that hurt, written by hand so that __proto__ stays a key. */
const json: fc.Arbitrary<string> = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    fc.constantFrom(
      "null",
      "true",
      "1",
      "-0",
      "1e999",
      "NaN",
      "-Infinity",
      '"datetime"',
      '"uuid"',
      '"base64"',
      '"a"',
      "9".repeat(30),
      "[",
      "}",
      "",
    ),
    fc.string().map((value) => JSON.stringify(value)),
    fc.array(tie("json"), { maxLength: 4 }).map((items) => `[${items.join(", ")}]`),
    fc.array(fc.tuple(key, tie("json")), { maxLength: 4 }).map((fields) =>
      `{${fields.map(([name, value]) => `"${name}": ${value}`).join(", ")}}`
    ),
  ),
})).json;

const anything = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withTypedArray: true }),
  text,
  fc.constantFrom("", "gzip", "2030-13-01", [5]),
);

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  json.map((found) => new TextEncoder().encode(found)),
);

/** A captured message with one header, property or part of its body changed, dropped, or made up. */
const mutated: fc.Arbitrary<Message> = fc.tuple(
  fc.constantFrom(...real),
  fc.nat(),
  anything,
  fc.constantFrom("header", "drop", "property", "cut", "splice", "own"),
  json,
  key,
)
  .map(([message, at, value, how, made, name]) => {
    const names = Object.keys(message.headers);
    const header = names[at % names.length] ?? "id";
    const { [header]: _, ...without } = message.headers;
    const cut = at % (message.body.length + 1);
    switch (how) {
      case "header":
        return { ...message, headers: { ...message.headers, [header]: value } };
      case "drop":
        return { ...message, headers: without };
      case "property":
        return {
          ...message,
          properties: {
            ...message.properties,
            [["priority", "reply_to", "correlation_id"][at % 3] ?? ""]: value,
          },
        };
      case "cut":
        return { ...message, body: message.body.slice(0, cut) };
      case "splice": {
        const body = new TextDecoder("latin1").decode(message.body);
        return { ...message, body: new TextEncoder().encode(body.slice(0, cut) + made + body.slice(cut)) };
      }
      default: {
        const headers = { ...message.headers };
        Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
        return { ...message, headers };
      }
    }
  });

const listed = fc.array(json, { maxLength: 3 }).map((items) => `[${items.join(", ")}]`);
const fielded = fc.array(fc.tuple(key, json), { maxLength: 3 }).map((fields) =>
  `{${fields.map(([name, value]) => `"${name}": ${value}`).join(", ")}}`
);

/** Near enough to a task message that its parts are looked at. */
const invented: fc.Arbitrary<Message> = fc.record({
  headers: fc.oneof(
    { weight: 4, arbitrary: fc.constant({ task: "t", id: "i" }) },
    fc.dictionary(key, anything, { noNullPrototype: true }),
    fc.constant({ task: "t", id: "i", compression: "gzip" }),
  ),
  properties: fc.dictionary(fc.constantFrom("priority", "reply_to", "correlation_id"), anything),
  contentType: fc.oneof(
    { weight: 9, arbitrary: fc.constant("application/json") },
    fc.constantFrom("", "text/plain"),
  ),
  contentEncoding: fc.oneof(
    { weight: 9, arbitrary: fc.constant("utf-8") },
    fc.constantFrom("binary", "", "latin1"),
  ),
  body: fc.oneof(
    bytes,
    fc.tuple(fc.oneof(listed, json), fc.oneof(fielded, json), fc.oneof(fielded, json, fc.constant("{}"))).map(
      (parts) => new TextEncoder().encode(`[${parts.join(", ")}]`),
    ),
  ),
});

async function outcome(read: () => unknown): Promise<string> {
  try {
    await read();
    return "read";
  } catch (error) {
    const known = error instanceof DecodeError || error instanceof InvalidTaskError ||
      error instanceof ContentDisallowedError;
    if (!known) throw error;
    expect(error.message.length).toBeLessThan(500);
    // deno-lint-ignore no-control-regex
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
    return error.code;
  }
}

afterEach(() => {
  expect("polluted" in {}).toBe(false);
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("task");
});

describe("P26: hostile messages", () => {
  test.each([["mutated", mutated, "task-invalid"], ["invented", invented, "decode-json"]] as const)(
    "%s ones end in a task or in a coded error, and what was read can be shown and sent on",
    async (name, arbitrary, some) => {
      const seen = new Coverage();
      await fc.assert(
        fc.asyncProperty(arbitrary, fc.boolean(), async (message, exact) => {
          seen.count(
            await outcome(async () => {
              const request = readTask(message, await openContent(message, { accept: ["json"], limits }), {
                limits,
                exact,
              });
              for (const at of [request.eta, request.expires, request.timeLimit, request.softTimeLimit]) {
                expect(at === null || Number.isFinite(at)).toBe(true);
              }
              expect(Object.getPrototypeOf(request.kwargs)).toBe(Object.prototype);
              expect(saferepr(request.kwargs).length).toBeLessThan(1100);
              const { args, kwargs } = request.exact();
              const { origin, replyTo, correlationId: _, exact: __, ...same } = request;
              try {
                await packTask({
                  ...same,
                  args,
                  kwargs,
                  eta: request.etaText,
                  expires: request.expiresText,
                  origin: origin ?? "o",
                  replyTo: replyTo ?? "r",
                });
              } catch (error) {
                // A field may be too long or a header too odd to be written; that is coded as well.
                if (!(error instanceof InvalidTaskError || error instanceof EncodeError)) throw error;
              }
            }),
          );
        }),
        { numRuns: often(3000) },
      );
      seen.report(name);
      expect(seen.kinds).toEqual(expect.arrayContaining(["read", some]));
    },
  );

  test("JSON of any kind is read or refused, and what was read can be written", async () => {
    const seen = new Coverage();
    await fc.assert(
      fc.asyncProperty(fc.oneof(json, fc.json(), text), fc.boolean(), async (given, exact) => {
        seen.count(
          await outcome(() => {
            const value = decodeJson(given, { limits, exact });
            if (exact) encodeJson(value);
          }),
        );
      }),
      { numRuns: often(5000) },
    );
    seen.report("json");
    expect(seen.kinds).toEqual(expect.arrayContaining(["read", "decode-json"]));
  });

  test("stored results, changed or made up, are read or refused", async () => {
    const seen = new Coverage();
    const spliced = fc.tuple(fc.constantFrom(...results), fc.nat(), json, fc.nat(20)).map(
      ([result, at, made, gone]) => {
        const cut = at % (result.length + 1);
        return result.slice(0, cut) + made + result.slice(cut + gone);
      },
    );
    const framed = json.map((value) => `{"status": "FAILURE", "result": ${value}, "task_id": "x"}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(spliced, framed, json), async (given) => {
        seen.count(await outcome(() => resultStatus(given)));
        seen.count(
          await outcome(() => {
            const { excType, excMessage, excModule } = decodeException(
              decodeResult(given, { limits }).result,
            );
            expect([typeof excType, Array.isArray(excMessage), typeof excModule]).toEqual([
              "string",
              true,
              "string",
            ]);
          }),
        );
      }),
      { numRuns: often(3000) },
    );
    seen.report("results");
    expect(seen.kinds).toEqual(expect.arrayContaining(["read", "decode-json"]));
  });
});

describe("hostile messages against the limits that are shipped", () => {
  const fill = (unit: string, mib: number): string => unit.repeat(Math.floor(mib * 2 ** 20 / unit.length));
  const bombs: readonly (readonly [string, string, string])[] = [
    ["objects", `[[0${fill(",{}", 30)}],{},{}]`, "decode-too-many-values"],
    ["lists", `[[0${fill(",[]", 30)}],{},{}]`, "decode-too-many-values"],
    ["numbers", `[[0${fill(",0", 30)}],{},{}]`, "decode-too-many-values"],
    ["texts", `[[0${fill(',""', 30)}],{},{}]`, "decode-too-many-values"],
    ["NaN", `[[NaN${fill(",0", 30)}],{},{}]`, "decode-too-many-values"],
    ["keys", `[[],{"a":0${fill(',"a":0', 30)}},{}]`, "decode-too-many-values"],
    ["depth", fill("[", 30), "decode-too-deep"],
    ["callbacks", `[[],{},{"callbacks":[0${fill(",{}", 30)}]}]`, "decode-too-many-values"],
  ];

  const sent = (body: Uint8Array, compression?: string): Message => ({
    headers: { task: "ok", id: "x", ...(compression === undefined ? {} : { compression }) },
    properties: {},
    contentType: "application/json",
    contentEncoding: "utf-8",
    body,
  });

  test.each(bombs)("30 MiB of %s are refused at little cost", (name, made, code) => {
    const message = sent(new TextEncoder().encode(made));
    const text = openContent(message, { accept: ["json"] }) as string;
    const [memory, before] = [process.memoryUsage().rss, process.cpuUsage()];
    expect(() => readTask(message, text)).toThrow(expect.objectContaining({ name: "DecodeError", code }));
    const { user, system } = process.cpuUsage(before);
    const grew = (process.memoryUsage().rss - memory) / 2 ** 20;
    console.log(
      `30 MiB of ${name} refused in ${((user + system) / 1000).toFixed(1)} ms of CPU, ${
        grew.toFixed(1)
      } MiB more memory`,
    );
    // Measured below 15 ms; the bound allows for a loaded machine and other runtimes.
    expect((user + system) / 1000).toBeLessThan(100);
    expect(grew).toBeLessThan(60);
  });

  test("compressed, the same are refused before they are whole", async () => {
    for (const [name, made] of [...bombs, ["spaces", fill(" ", 120), ""] as const]) {
      const body = await compress(new TextEncoder().encode(made));
      const [memory, before] = [process.memoryUsage().rss, process.cpuUsage()];
      await expect(openContent(sent(body, "gzip"), { accept: ["json"], turn: () => pause(0) })).rejects
        .toMatchObject({
          name: "DecodeError",
          code: "decode-too-large",
        });
      const { user, system } = process.cpuUsage(before);
      const grew = (process.memoryUsage().rss - memory) / 2 ** 20;
      console.log(
        `${body.length} bytes of ${name} refused in ${((user + system) / 1000).toFixed(1)} ms of CPU, ${
          grew.toFixed(1)
        } MiB more memory`,
      );
      expect((user + system) / 1000).toBeLessThan(500);
      expect(grew).toBeLessThan(100);
    }
  });
});
