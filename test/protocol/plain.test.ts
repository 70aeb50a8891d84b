import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { parseInstant } from "../../src/protocol/instant.ts";
import { saferepr } from "../../src/protocol/repr.ts";
import { plainRepr } from "../../src/protocol/repr-plain.ts";
import { isOwnHeader } from "../../src/protocol/task-headers.ts";
import { packPlain } from "../../src/protocol/task-plain.ts";
import { buildTask, packTask, type TaskSpec } from "../../src/protocol/task.ts";
import { PyUuid } from "../../src/protocol/types.ts";
import { Coverage, exactLeaf, plainLeaf, valueOf } from "./values.ts";

const ID = "00000000-0000-4000-8000-000000000001";
const spec: TaskSpec = { task: "tasks.add", id: ID, origin: "gen1@host", replyTo: "reply" };

/** One text of a message: comparing a body byte by byte takes long. */
function shown({ body, ...others }: Message): string {
  return JSON.stringify(others) + new TextDecoder().decode(body);
}

describe("packPlain", () => {
  test("gives the message that packTask gives, whatever has a JSON form", () => {
    const seen = new Coverage();
    const value = fc.oneof(valueOf(plainLeaf), valueOf(exactLeaf));
    const more = fc.record({
      eta: fc.option(fc.integer({ min: 0, max: 4e12 })),
      expires: fc.option(fc.integer({ min: 0, max: 4e12 })),
      timeLimit: fc.option(fc.nat()),
      priority: fc.option(fc.nat(255)),
      headers: fc.dictionary(fc.constantFrom("trace", "x-death", "mine"), fc.string()),
    }, { requiredKeys: [] });
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 3 }),
        fc.dictionary(fc.string(), value),
        more,
        (args, kwargs, said) => {
          seen.see(args);
          const whole: TaskSpec = { ...spec, ...said, args, kwargs, now: 1e12 };
          expect(shown(packPlain(whole))).toBe(shown(packTask(whole) as Message));
        },
      ),
      { numRuns: 500 },
    );
    seen.report("packed plainly");
    expect(seen.kinds).toEqual(
      expect.arrayContaining([
        "Date",
        "PyDate",
        "PyDatetime",
        "PyFloat",
        "PyUuid",
        "Uint8Array",
        "bigint",
        "number",
      ]),
    );
  });

  test("reads instants that are text where it is given the means", () => {
    const late: TaskSpec = {
      ...spec,
      eta: "2030-01-02T03:04:05.6+09:00",
      expires: "2030-01-03",
      now: 1.8e12,
    };
    expect(packPlain(late, { parse: parseInstant, repr: saferepr })).toEqual(packTask(late));
    expect(() => packPlain(late)).toThrow(
      expect.objectContaining({ name: "InvalidTaskError", code: "task-invalid" }),
    );
    expect(() => packPlain({ ...spec, eta: "soon" }, { parse: parseInstant })).toThrow(/eta is no instant/);
  });

  test("refuses every name that Celery keeps for itself", () => {
    const written = Object.keys(buildTask(spec).headers);
    for (const name of [...written, "compression", "redelivered", "callbacks", "utc", "__proto__"]) {
      expect([name, isOwnHeader(name)]).toEqual([name, true]);
      expect(() => packPlain({ ...spec, headers: Object.fromEntries([[name, "x"]]) })).toThrow(
        expect.objectContaining({ code: "task-invalid" }),
      );
    }
    expect(packPlain({ ...spec, headers: { constructor: "mine" } }).headers).toHaveProperty(
      "constructor",
      "mine",
    );
  });

  test("refuses an argument without a JSON form, and says where it stands", () => {
    for (const odd of [new Map(), Symbol("s"), () => 1, undefined, new Date(NaN)]) {
      expect(() => packPlain({ ...spec, args: [{ odd: [odd] }] })).toThrow(
        /^At \[0\]\.odd\[0\]: .* has no JSON form\./,
      );
    }
  });
});

describe("plainRepr", () => {
  test("shows what has no JSON form as None or as an object, also where it contains itself", () => {
    const round: unknown[] = [1];
    round.push(round);
    expect(plainRepr([() => 1, Symbol("s"), new Map([[1, 2]]), round])).toBe(
      "[None, None, {}, [1, [1, [...]]]]",
    );
  });

  test("is not deceived by fields that are named like the methods of Python's values", () => {
    const odd = { "~repr": 1, "~json": () => "x" };
    expect(plainRepr(odd)).toBe("{'~repr': 1, '~json': None}");
    expect(saferepr({ "~repr": "x", id: new PyUuid(ID) })).toBe(`{'~repr': 'x', 'id': UUID('${ID}')}`);
  });
});
