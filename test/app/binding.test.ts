import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bind, parseParams } from "../../src/app/binding.ts";
import { thrownBy } from "./setup.ts";

const parameters = (...params: string[]) => parseParams("tasks.add", params);
const message = (params: string[], args: unknown[], kwargs: Record<string, unknown> = {}): string =>
  thrownBy(() => bind("tasks.add", parameters(...params), args, kwargs)).message;

describe("params", () => {
  test("name what must be there, what may be absent, and the rest", () => {
    expect(parameters("x", "y?", "*rest")).toEqual({ names: ["x", "y"], required: 1, rest: true });
    expect(parameters()).toEqual({ names: [], required: 0, rest: false });
  });

  test.each([
    [["x", "x"], "is there twice"],
    [["x?", "y"], "must be there, but follows one that may be absent"],
    [["*rest", "x"], "comes after the rest"],
    [["*rest?"], "is a rest"],
    [["1x"], "is not a name"],
    [["**kwargs"], "is not a name"],
    [[""], "is not a name"],
    [[5 as never], "is not a text"],
  ])("%j are refused", (params, reason) => {
    const error = thrownBy(() => parseParams("t", params));
    expect(error).toMatchObject({ code: "params-invalid" });
    expect(error.message).toContain(reason);
  });
});

describe("bind", () => {
  test("lays arguments from the left and by name", () => {
    expect(bind("t", parameters("x", "y"), [1, 2], {})).toEqual([1, 2]);
    expect(bind("t", parameters("x", "y"), [1], { y: 2 })).toEqual([1, 2]);
    expect(bind("t", parameters("x", "y"), [], { y: 2, x: 1 })).toEqual([1, 2]);
    expect(bind("t", parameters("x", "y?"), [1], {})).toEqual([1]);
    expect(bind("t", parameters("x?", "y?", "z?"), [], { z: 3 })).toEqual([undefined, undefined, 3]);
    expect(bind("t", parameters("x", "*rest"), [1, 2, 3], {})).toEqual([1, 2, 3]);
    expect(bind("t", parameters("x", "*rest"), [], { x: 1 })).toEqual([1]);
    expect(bind("t", parameters("x"), [null], {})).toEqual([null]);
  });

  test("says what is wrong in Python's sentences", () => {
    expect(message(["x", "y"], [1])).toBe("tasks.add() missing 1 required positional argument: 'y'");
    expect(message(["x", "y"], [])).toBe("tasks.add() missing 2 required positional arguments: 'x' and 'y'");
    expect(message(["x", "y", "z"], [])).toBe(
      "tasks.add() missing 3 required positional arguments: 'x', 'y', and 'z'",
    );
    expect(message(["x", "y"], [1, 2, 3])).toBe("tasks.add() takes 2 positional arguments but 3 were given");
    expect(message(["x"], [1, 2])).toBe("tasks.add() takes 1 positional argument but 2 were given");
    expect(message([], [1])).toBe("tasks.add() takes 0 positional arguments but 1 was given");
    expect(message(["x?"], [1, 2])).toBe(
      "tasks.add() takes from 0 to 1 positional arguments but 2 were given",
    );
    expect(message(["x", "y"], [1], { x: 1 })).toBe("tasks.add() got multiple values for argument 'x'");
    expect(message(["x", "y"], [1], { z: 1 })).toBe("tasks.add() got an unexpected keyword argument 'z'");
  });

  test("throws a TypeError with a stable code", () => {
    expect(thrownBy(() => bind("t", parameters("x"), [], {}))).toMatchObject({
      name: "TypeError",
      code: "task-arguments",
    });
  });

  test("takes a keyword that JavaScript gives a meaning", () => {
    const kwargs = JSON.parse('{"__proto__": 5, "constructor": 6}') as Record<string, unknown>;
    expect(bind("t", parameters("__proto__", "constructor"), [], kwargs)).toEqual([5, 6]);
    expect(message(["x"], [1], kwargs)).toBe("tasks.add() got an unexpected keyword argument '__proto__'");
  });

  test("fits exactly when every parameter that must be there has one value, and no value is left over", () => {
    const seen = new Map<string, number>();
    const name = fc.constantFrom("a", "b", "c", "d", "e");
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 4 }),
        fc.nat(4),
        fc.boolean(),
        fc.nat(6),
        fc.uniqueArray(name, { maxLength: 4 }),
        (names, required, rest, positional, keywords) => {
          const params = names.map((each, at) => at < required ? each : `${each}?`);
          const parsed = parameters(...params, ...(rest ? ["*rest"] : []));
          const args = Array.from({ length: positional }, (_, at) => `p${at}`);
          const kwargs = Object.fromEntries(keywords.map((each) => [each, `k-${each}`]));
          // The model: what value, if any, each parameter gets.
          const unknown = keywords.some((each) => !names.includes(each));
          const doubled = keywords.some((each) =>
            names.indexOf(each) >= 0 && names.indexOf(each) < positional
          );
          const surplus = !rest && positional > names.length;
          const missing = names.some((each, at) =>
            at < required && at >= positional && !keywords.includes(each)
          );
          const fits = !(unknown || doubled || surplus || missing);
          const kind = unknown
            ? "unknown"
            : doubled
            ? "doubled"
            : surplus
            ? "surplus"
            : missing
            ? "missing"
            : "fits";
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          if (!fits) {
            expect(thrownBy(() => bind("t", parsed, args, kwargs))).toMatchObject({ code: "task-arguments" });
            return;
          }
          const bound = bind("t", parsed, args, kwargs);
          names.forEach((each, at) => {
            expect(bound[at]).toBe(at < positional ? `p${at}` : kwargs[each]);
          });
          if (rest) expect(bound.slice(names.length)).toEqual(args.slice(names.length));
        },
      ),
      { numRuns: 2000 },
    );
    console.log("binding:", Object.fromEntries(seen));
    expect([...seen.keys()].sort()).toEqual(["doubled", "fits", "missing", "surplus", "unknown"]);
  });
});
