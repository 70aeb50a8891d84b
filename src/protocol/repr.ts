/**
 * Values as Python's `repr` shows them, cut to a length: Celery's `saferepr`, for `argsrepr`, `kwargsrepr`, events and logs.
 *
 * @module
 */
import { chars, MAX_LEVELS, type Others, plainRepr, truncated } from "./repr-plain.ts";

/**
 * Python's text of any value, at most about `maxLength` characters, nested at most 3 levels, cut as Celery cuts it. `tuple` shows an array
 * in round brackets.
 */
export function saferepr(value: unknown, maxLength?: number, tuple?: boolean): string {
  return plainRepr(value, maxLength, tuple, OTHERS);
}

/** As {@link saferepr}, of positional arguments: Python shows them as a tuple. */
export function reprArgs(args: readonly unknown[], maxLength?: number): string {
  return saferepr(args, maxLength, true);
}

/** What has no JSON form, and what contains itself. */
const OTHERS: Others = {
  text(value, room, inside) {
    switch (typeof value) {
      case "function":
        return truncated(`<function ${value.name || "<lambda>"}>`, room);
      case "symbol":
        return truncated(`<${String(value)}>`, room);
      case "object":
        if (value === null) return undefined;
        if (value instanceof Error) return truncated(`${value.name}(${chars(value.message, room)})`, room);
        if (value instanceof Set && value.size === 0) return "set()";
        return inside.length < MAX_LEVELS && inside.includes(value)
          ? truncated("<Recursion>", room)
          : undefined;
      default:
        return undefined;
    }
  },
  parts(value) {
    return value instanceof Map
      ? value
      : value instanceof Set
      ? Array.from(value, (item) => [item])
      : undefined;
  },
};
