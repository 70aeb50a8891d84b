/** What the protocol room writes, read by real Python, and the reverse. One long-lived Python process serves the file. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { openContent } from "../../src/protocol/content.ts";
import { encodeException, PYTHON_EXCEPTIONS } from "../../src/protocol/exception.ts";
import { formatInstant, parseInstant } from "../../src/protocol/instant.ts";
import { decodeJson, encodeJson } from "../../src/protocol/json.ts";
import { floatText, MAX_INT_DIGITS } from "../../src/protocol/json-writer.ts";
import { nodename } from "../../src/protocol/node.ts";
import { reprArgs, saferepr } from "../../src/protocol/repr.ts";
import { plainRepr } from "../../src/protocol/repr-plain.ts";
import { encodeResult } from "../../src/protocol/result.ts";
import { packPlain } from "../../src/protocol/task-plain.ts";
import { packTask, type TaskSpec } from "../../src/protocol/task.ts";
import { PyDate, PyDecimal, PyFloat, PyTime, PyUuid } from "../../src/protocol/types.ts";
import { Coverage, date, exactLeaf, plainLeaf, text, valueOf } from "../protocol/values.ts";
import { type Python, startPython } from "../support/python.ts";

let python: Python;
beforeAll(async () => {
  python = await startPython("protocol.py");
});
afterAll(() => python.stop());

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** One question to Python for many values at a time. */
function inBatches<T>(
  arbitrary: fc.Arbitrary<T>,
  check: (values: readonly T[]) => Promise<void>,
): Promise<void> {
  return fc.assert(fc.asyncProperty(fc.array(arbitrary, { minLength: 20, maxLength: 60 }), check), {
    numRuns: 40,
  });
}

async function rewritten(
  texts: readonly string[],
  dialect: "5.2" | "5.6",
): Promise<{ text?: string; error?: string }[]> {
  return await python.call("rewritten", { texts, dialect });
}

describe("P25: JSON against Python", () => {
  test("Python reads each text that we write, and writes it the same again", async () => {
    const seen = new Coverage();
    for (const leaf of [plainLeaf, exactLeaf]) {
      await inBatches(valueOf(leaf), async (values) => {
        values.forEach((value) => seen.see(value));
        const texts = values.map((value) => encodeJson(value));
        expect(await rewritten(texts, "5.6")).toEqual(texts.map((text) => ({ text })));
      });
    }
    seen.report("read by Python");
    expect(seen.kinds).toEqual(
      expect.arrayContaining([
        "Date",
        "PyDatetime",
        "PyFloat",
        "PyDecimal",
        "PyUuid",
        "bigint",
        "Uint8Array",
      ]),
    );
  });

  test("kombu as Debian has it reads our envelopes as plain objects, and all else alike", async () => {
    await inBatches(valueOf(plainLeaf), async (values) => {
      const texts = values.map((value) => encodeJson(value));
      expect(await rewritten(texts, "5.2")).toEqual(texts.map((text) => ({ text })));
    });
  });

  test("Python finds its own types in them", async () => {
    const values = [
      new Date(0),
      new PyDate("2024-05-28"),
      new PyTime("01:02:03"),
      new PyDecimal("1.50"),
      new PyUuid("12345678-1234-5678-1234-567812345678"),
      Uint8Array.of(1),
      Uint8Array.of(255),
      2n ** 70n,
      7,
      new PyFloat("1.0"),
      1.5,
      2 ** 60,
      NaN,
    ];
    expect(await python.call("python_types", { text: encodeJson(values) })).toEqual(
      [
        "datetime",
        "date",
        "time",
        "Decimal",
        "UUID",
        "bytes",
        "bytes",
        "int",
        "int",
        "float",
        "float",
        "float",
        "float",
      ],
    );
  });

  test("floats are Python's repr, bit for bit", async () => {
    const bits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((raw) =>
      new Float64Array(BigUint64Array.of(raw).buffer)[0] ?? 0
    );
    const near = fc.tuple(fc.integer({ min: -8, max: 24 }), fc.integer({ min: -3, max: 3 })).map((
      [ten, ulp],
    ) => 10 ** ten * (1 + ulp * Number.EPSILON));
    await inBatches(
      fc.oneof(bits.filter(Number.isFinite), near, fc.double({ noNaN: true, noDefaultInfinity: true })),
      async (values) => {
        const texts = values.map(floatText);
        expect(await rewritten(texts, "5.2")).toEqual(texts.map((text) => ({ text })));
        expect(texts.map(Number)).toEqual(values);
      },
    );
  });

  test("what Python refuses we refuse, and what it reads we read to the same value", async () => {
    const seen = new Coverage();
    const piece = fc.constantFrom(
      ...'[]{},:" \n\t-+.0123eE\\u',
      "1",
      "10",
      "-0",
      "1.5",
      "1e5",
      '"a"',
      "NaN",
      "Infinity",
      "-Infinity",
      "true",
      "null",
      "\\ud800",
      "\u000b",
      "\u00a0",
    );
    const broken = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
      fc.tuple(valueOf(plainLeaf).map((value) => encodeJson(value)), fc.nat(), piece).map(
        ([text, at, part]) => {
          const cut = at % (text.length + 1);
          return text.slice(0, cut) + part + text.slice(cut + 1);
        },
      ),
    );
    await inBatches(broken, async (texts) => {
      const theirs = await rewritten(texts, "5.6");
      for (const [index, text] of texts.entries()) {
        const { text: again } = theirs[index] ?? {};
        let ours: string | undefined;
        try {
          ours = encodeJson(decodeJson(text, { exact: true }));
        } catch {
          ours = undefined;
        }
        seen.count(again === undefined ? "refused" : "read");
        // Python's date and time take more spellings than ISO 8601's, and a text is what it was mutated to; the envelope is compared below.
        if (text.includes("__type__")) continue;
        if (again === undefined || ours === undefined) expect([text, ours]).toEqual([text, again]);
        else expect((await rewritten([ours], "5.6"))[0]).toEqual({ text: again });
      }
    });
    seen.report("mutated texts");
    expect(seen.kinds).toEqual(expect.arrayContaining(["read", "refused"]));
  });

  test("envelopes that Python writes come back unchanged, and mutated ones never give what Python reads otherwise", async () => {
    const seen = new Coverage();
    const letters = fc.constantFrom(..."0123456789:-+.TZ ,eE", "");
    const envelope = exactLeaf.map((value) => encodeJson(value)).filter((text) =>
      text.startsWith('{"__type__": "')
    );
    const mutated = fc.tuple(envelope, fc.nat(), letters).map(([text, at, letter]) => {
      const start = text.indexOf('"__value__": ') + 14;
      const cut = start + at % Math.max(1, text.length - start - 3);
      return text.slice(0, cut) + letter + text.slice(cut + 1);
    });
    await inBatches(fc.oneof(envelope, mutated), async (texts) => {
      const theirs = await rewritten(texts, "5.6");
      for (const [index, text] of texts.entries()) {
        let ours: string | undefined;
        try {
          ours = encodeJson(decodeJson(text, { exact: true }));
        } catch {
          ours = undefined;
        }
        const { text: again } = theirs[index] ?? {};
        seen.count(ours === undefined ? (again === undefined ? "refused by both" : "refused by us") : "read");
        // We may be stricter than Python. What we read, it reads too, as the same value.
        if (ours !== undefined) {
          expect((await rewritten([ours], "5.6"))[0]).toEqual({ text: again ?? `refused: ${text}` });
        }
      }
    });
    seen.report("envelopes");
  });

  test("the limits that we keep are this Python's", async () => {
    const facts = await python.call<{ int_digits: number; exceptions: string[] }>("python_facts");
    expect(MAX_INT_DIGITS).toBe(facts.int_digits);
    // Those that need more than a text to be made.
    const special = ["ExceptionGroup", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError"];
    expect([...PYTHON_EXCEPTIONS].sort()).toEqual(facts.exceptions.filter((name) => !special.includes(name)));
  });
});

describe("instants against Python", () => {
  test("what we write, dateutil and datetime.fromisoformat read as the same instant", async () => {
    await inBatches(date, async (dates) => {
      const found = await python.call<{ dateutil: number; python: number }[]>("instants", {
        texts: dates.map((at) => formatInstant(at.getTime())),
      });
      expect(found).toEqual(dates.map((at) => ({ dateutil: at.getTime(), python: at.getTime() })));
    });
  });

  test("what we read, dateutil reads as the same instant", async () => {
    const seen = new Coverage();
    const zone = fc.constantFrom(
      "",
      "Z",
      "z",
      "+00:00",
      "-03:30",
      "+0900",
      "+09",
      "+24:00",
      "+00:60",
      "+09:00:00",
      " ",
    );
    const form = fc.constantFrom(
      (iso: string) => iso.slice(0, 26),
      (iso: string) => iso.slice(0, 23),
      (iso: string) => iso.slice(0, 19),
      (iso: string) => iso.slice(0, 16),
      (iso: string) => iso.slice(0, 13),
      (iso: string) => iso.slice(0, 10),
      (iso: string) => iso.slice(0, 7),
      (iso: string) => iso.slice(0, 19).replaceAll(/[:-]/g, ""),
      (iso: string) => iso.replace("T", " "),
      (iso: string) => iso.replace(".", ","),
      (iso: string) => `${iso.slice(0, 11)}24:00:00`,
      (iso: string) => `${iso.slice(0, 8)}31${iso.slice(10, 19)}`,
    );
    const shown = fc.tuple(date, form, zone).map(([at, make, offset]) =>
      make(formatInstant(at.getTime()).slice(0, 26)) + offset
    );
    const mutated = fc.tuple(shown, fc.nat(), fc.constantFrom(..."0123456789:-+.TZ ,x")).map(
      ([iso, at, letter]) => {
        const cut = at % (iso.length + 1);
        return iso.slice(0, cut) + letter + iso.slice(cut + 1);
      },
    );
    // Of 24:00 and an offset with seconds dateutil takes the one, Python the other.
    const either = fc.oneof(shown, mutated).filter((text) => !/24:?00.*[+-]\d\d:\d\d:\d\d$/.test(text));
    await inBatches(either, async (texts) => {
      const found = await python.call<{ dateutil: number | null; python: number | null }[]>("instants", {
        texts,
      });
      for (const [index, text] of texts.entries()) {
        const { dateutil, python: standard } = found[index] ?? { dateutil: null, python: null };
        const ms = parseInstant(text);
        seen.count(ms === undefined ? (dateutil === null ? "refused by both" : "refused by us") : "read");
        const theirs = [dateutil, standard].filter((found) => found !== null);
        if (ms !== undefined) expect([text, theirs]).toEqual([text, expect.arrayContaining([ms])]);
      }
    });
    seen.report("instants");
    expect(seen.kinds).toEqual(expect.arrayContaining(["read", "refused by both"]));
  });
});

describe("saferepr against Celery", () => {
  test.each([1024, 128, 20, 5, 1])("of any value, cut at %i", async (length) => {
    await inBatches(valueOf(plainLeaf), async (values) => {
      const texts = values.map((value) => encodeJson(value));
      const theirs = await python.call("reprs", { texts, maxlen: length });
      expect(values.map((value) => saferepr(value, length))).toEqual(theirs);
      expect(values.map((value) => plainRepr(value, length))).toEqual(theirs);
    });
  });

  test("of exact values, offsets and microseconds and floats", async () => {
    await inBatches(valueOf(exactLeaf), async (values) => {
      const texts = values.map((value) => encodeJson(value));
      const theirs = await python.call("reprs", { texts });
      expect(values.map((value) => saferepr(value))).toEqual(theirs);
      expect(values.map((value) => plainRepr(value))).toEqual(theirs);
    });
  });

  test("of arguments, which are a tuple", async () => {
    await inBatches(
      fc.array(fc.oneof(text, fc.integer(), fc.constant([1, [2, [3]]])), { maxLength: 3 }),
      async (values) => {
        const texts = values.map((value) => encodeJson(value));
        expect(values.map((value) => reprArgs(value, 40))).toEqual(
          await python.call("args_reprs", { texts, maxlen: 40 }),
        );
      },
    );
  });
});

const spec: TaskSpec = {
  task: "tasks.add",
  id: "00000000-0000-4000-8000-000000000001",
  origin: "gen1@host",
  replyTo: "5d433de9-3827-35f5-b58f-cf62a2116156",
};

interface Built {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function wire(message: Message): Readonly<Record<string, unknown>> {
  return {
    headers: message.headers,
    properties: message.properties,
    content_type: message.contentType,
    content_encoding: message.contentEncoding,
    body_base64: base64(message.body),
  };
}

describe("task messages against Celery", () => {
  const keyword = fc.string({ unit: fc.constantFrom(..."abc_é셔"), minLength: 1, maxLength: 5 });
  const number = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value)),
  );
  const json = valueOf(
    fc.oneof(
      fc.constant(null),
      fc.boolean(),
      text.filter((found) => !/[\ud800-\udfff]/u.test(found)),
      number,
    ),
  );

  test("for any arguments the message is the one that Celery builds", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(json, { maxLength: 4 }),
        fc.dictionary(keyword, json, { maxKeys: 4 }),
        async (args, kwargs) => {
          const theirs = await python.call<Built>("built", {
            args: encodeJson(args),
            kwargs: encodeJson(kwargs),
            options: { task_id: spec.id, name: spec.task, origin: spec.origin, reply_to: spec.replyTo },
          });
          const ours = await packTask({ ...spec, args, kwargs });
          expect(new TextDecoder().decode(ours.body)).toBe(theirs.body);
          expect(ours.headers).toEqual({
            ...theirs.headers,
            lang: "js",
            ignore_result: null,
            replaced_task_nesting: 0,
            stamped_headers: null,
            stamps: {},
          });
          expect(ours.properties).toMatchObject(theirs.properties);
          // What people are shown of the arguments is its own.
          const { argsrepr, kwargsrepr } = ours.headers as {
            readonly argsrepr: string;
            readonly kwargsrepr: string;
          };
          expect(packPlain({ ...spec, args, kwargs, argsrepr, kwargsrepr })).toEqual(ours);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a worker makes the request of it that was meant", async () => {
    const message = await packTask({
      ...spec,
      args: [1, "é", NaN],
      kwargs: { when: new Date(0) },
      rootId: "root",
      parentId: "parent",
      eta: Date.UTC(2030, 0, 2, 3, 4, 5, 600),
      expires: "2031-01-02T03:04:05+09:00",
      timeLimit: 30_000,
      softTimeLimit: 10_500,
    });
    expect(await python.call("read_request", wire(message))).toMatchObject({
      id: spec.id,
      name: "tasks.add",
      root_id: "root",
      parent_id: "parent",
      eta: "2030-01-02T03:04:05.600000+00:00",
      expires: "2031-01-02T03:04:05+09:00",
      time_limits: [30, 10.5],
      reply_to: spec.replyTo,
      correlation_id: spec.id,
      argsrepr: "(1, 'é', nan)",
      kwargsrepr: "{'when': datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)}",
      body: new TextDecoder().decode(message.body),
    });
  });

  test("a compressed body is read on either side", async () => {
    const message = await packTask({ ...spec, args: ["é".repeat(5000)] }, { compression: "gzip" });
    expect(message.body.length).toBeLessThan(500);
    const plain = await openContent(message, { accept: ["json"] });
    expect(
      await python.call("inflate", {
        body_base64: base64(message.body),
        name: message.headers["compression"],
      }),
    ).toBe(plain);
    expect(await python.call("read_request", wire(message))).toMatchObject({ body: plain });

    const { body_base64, type } = await python.call<{ body_base64: string; type: string }>("deflate", {
      text: plain,
      name: "gzip",
    });
    const theirs = {
      ...message,
      headers: { compression: type },
      body: Uint8Array.from(atob(body_base64), (character) => character.charCodeAt(0)),
    };
    expect(await openContent(theirs, { accept: ["json"] })).toBe(plain);
  });
});

describe("results against Celery", () => {
  test("a stored failure raises in Python, and no class but an exception's is made", async () => {
    class Odd extends Error {
      override name = "module.Odd name";
    }
    class Exit extends Error {
      override name = "SystemExit";
    }
    const errors = [new TypeError("a"), new RangeError("b"), new Odd("c"), new Exit("d"), "thrown text", {
      thrown: 1,
    }, new Error("")];
    const found = await python.call("exceptions", { items: errors.map((error) => encodeException(error)) });
    expect(found).toEqual([
      { type: "TypeError", module: "builtins", args: ["'a'"], exception: true },
      { type: "RangeError", module: "celery.exceptions", args: ["'b'"], exception: true },
      { type: "module.Odd name", module: "celery.exceptions", args: ["'c'"], exception: true },
      { type: "SystemExit", module: "celery.exceptions", args: ["'d'"], exception: true },
      { type: "Error", module: "celery.exceptions", args: ["'thrown text'"], exception: true },
      { type: "Error", module: "celery.exceptions", args: ["\"{'thrown': 1}\""], exception: true },
      { type: "Error", module: "celery.exceptions", args: ["''"], exception: true },
    ]);
  });

  test("each builtin exception that we name is one that Python can make of a text", async () => {
    const items = [...PYTHON_EXCEPTIONS].map((name) =>
      encodeException(Object.assign(new Error("why"), { name }))
    );
    const found = await python.call<{ type: string; exception: boolean }[]>("exceptions", { items });
    // IOError and EnvironmentError are other names of OSError.
    expect(found.map(({ type }) => type)).toEqual(
      [...PYTHON_EXCEPTIONS].map((name) => /^(IO|Environment)Error$/.test(name) ? "OSError" : name),
    );
    expect(found.every(({ exception }) => exception)).toBe(true);
  });

  test("a stored success reads as it was meant", async () => {
    const text = encodeResult({
      status: "SUCCESS",
      result: { sum: 149 },
      traceback: null,
      children: [[["child", null], null]],
      dateDone: formatInstant(0),
      taskId: "id",
    });
    expect(await python.call("decode_result", { text })).toMatchObject({
      status: "'SUCCESS'",
      result: "{'sum': 149}",
      children: "[[['child', None], None]]",
      task_id: "'id'",
    });
  });
});

test.each([undefined, "worker@%h", "w1@%n", "w.%n@%d", "%n%i@%h", "w@other.lan", "plain", "@x", "w@"])(
  "the node name of %j is the one that Celery gives",
  async (template) => {
    for (const host of ["box", "box.lan", "box.a.lan"]) {
      expect(nodename(template, host)).toBe(await python.call("node", { template: template ?? null, host }));
    }
  },
);
