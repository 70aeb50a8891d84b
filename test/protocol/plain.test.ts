import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { saferepr } from "../../src/protocol/repr.ts";
import { plainRepr } from "../../src/protocol/repr-plain.ts";
import { isOwnHeader } from "../../src/protocol/task-headers.ts";
import { packPlain } from "../../src/protocol/task-plain.ts";
import { buildTask, packTask, type TaskSpec } from "../../src/protocol/task.ts";
import { PyUuid } from "../../src/protocol/types.ts";
import { Coverage, exactLeaf, plainLeaf, valueOf } from "./values.ts";

const ID = "00000000-0000-4000-8000-000000000001";
const spec: TaskSpec = { task: "tasks.add", id: ID, origin: "gen1@host", replyTo: "reply" };

/** One text of a message, without what people are shown of the arguments: comparing a body byte by byte takes long. */
function shown({ body, headers, ...others }: Message): string {
  const same = { ...headers, argsrepr: "", kwargsrepr: "" };
  return JSON.stringify({ headers: same, ...others }) + new TextDecoder().decode(body);
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

  test("shows the arguments as their JSON text, cut", () => {
    const reprs = (more: Partial<TaskSpec>): unknown[] => {
      const { headers } = packPlain({ ...spec, ...more });
      return [headers["argsrepr"], headers["kwargsrepr"]];
    };
    expect(reprs({})).toEqual(["()", "{}"]);
    expect(reprs({ args: [2], kwargs: { a: 86 } })).toEqual(["(2,)", '{"a": 86}']);
    expect(reprs({ args: [2, ["é", null]] })).toEqual(['(2, ["\\u00e9", null])', "{}"]);
    expect(reprs({ argsrepr: "hidden", kwargsrepr: "" })).toEqual(["hidden", ""]);
    const [long, longer] = reprs({ args: ["x".repeat(2000)], kwargs: { a: "y".repeat(2000) } }) as string[];
    expect([long?.length, longer?.length]).toEqual([1024, 1024]);
    expect(long).toMatch(/^\("x+$/);
  });

  test("leaves instants that are text to packTask", () => {
    const late: TaskSpec = {
      ...spec,
      eta: "2030-01-02T03:04:05.6+09:00",
      expires: "2030-01-03",
      now: 1.8e12,
    };
    const { headers, properties } = packTask(late) as Message;
    expect([headers["eta"], headers["expires"], properties["expiration"]]).toEqual(
      [late.eta, late.expires, String(Date.UTC(2030, 0, 3) - 1.8e12)],
    );
    expect(() => packPlain(late)).toThrow(
      expect.objectContaining({ name: "InvalidTaskError", code: "task-invalid" }),
    );
    expect(() => packTask({ ...spec, eta: "soon" })).toThrow(/eta is no instant/);
  });

  test("refuses the headers that it writes itself, and those that no worker takes", () => {
    const written = Object.keys(buildTask(spec).headers);
    const refused = expect.objectContaining({ code: "task-invalid" }) as Error;
    const mine = (name: string): TaskSpec => ({ ...spec, headers: Object.fromEntries([[name, "x"]]) });
    for (const name of [...written, "compression", "children", "get", "update", "__proto__"]) {
      expect([name, isOwnHeader(name)]).toEqual([name, true]);
      expect(() => packPlain(mine(name))).toThrow(refused);
    }
    for (const name of [...written, "compression", "redelivered", "callbacks", "utc", "__proto__"]) {
      expect([name, isOwnHeader(name)]).toEqual([name, true]);
      expect(() => packTask(mine(name))).toThrow(refused);
    }
    expect(packPlain(mine("constructor")).headers).toHaveProperty("constructor", "x");
    expect((packTask(mine("constructor")) as Message).headers).toHaveProperty("constructor", "x");
  });

  test("refuses an argument without a JSON form by its name; packTask says where it stands, too", () => {
    for (const odd of [new Map(), Symbol("s"), () => 1, undefined, new Date(NaN)]) {
      const args = [{ odd: [odd] }];
      expect(() => packPlain({ ...spec, args })).toThrow(/^\w.* has no JSON form\./);
      expect(() => packTask({ ...spec, args })).toThrow(/^At \[0\]\.odd\[0\]: .* has no JSON form\./);
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
