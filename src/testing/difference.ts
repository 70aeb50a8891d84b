/**
 * Where two values differ, and values as text: what a failed assertion says.
 *
 * @module
 */

/** Longest text of one value. */
const LONGEST = 2000;
/** Nesting that is shown. */
const DEEPEST = 6;

/** A value as text, near to how one would write it in JavaScript; cut where it is long. */
export function show(value: unknown): string {
  const text = textOf(value, []);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}… (${text.length} characters)`;
}

/** The first place where the two differ, or undefined where they are deeply equal: same types, same own enumerable properties, `Object.is`. */
export function difference(actual: unknown, expected: unknown): string | undefined {
  return differ(actual, expected, "", []);
}

function differ(
  actual: unknown,
  expected: unknown,
  path: string,
  inside: readonly (readonly [unknown, unknown])[],
): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  const here = (): string =>
    `${path === "" ? "" : `at ${path}: `}expected ${show(expected)}, got ${show(actual)}`;
  if (typeof actual !== "object" || typeof expected !== "object") return here();
  if (actual === null || expected === null) return here();
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return here();
  if (inside.some(([a, b]) => a === actual && b === expected)) return undefined;
  const within = [...inside, [actual, expected] as const];
  if (actual instanceof Date && actual.getTime() !== (expected as Date).getTime()) return here();
  if (actual instanceof RegExp && String(actual) !== String(expected)) return here();
  if (actual instanceof Error && actual.message !== (expected as Error).message) return here();
  if (actual instanceof Map) return mapsDiffer(actual, expected as typeof actual, path, within, here);
  if (actual instanceof Set) {
    return differ([...actual], [...(expected as typeof actual)], `${path}[...set]`, within);
  }
  if (Array.isArray(actual) || ArrayBuffer.isView(actual)) {
    const lengths = [actual, expected].map((list) => (list as ArrayLike<unknown>).length);
    if (lengths[0] !== lengths[1]) return here();
  }
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  for (const key of keys) {
    if (!Object.hasOwn(actual, key) || !Object.hasOwn(expected, key)) return here();
    const found = differ(Reflect.get(actual, key), Reflect.get(expected, key), pathOf(path, key), within);
    if (found !== undefined) return found;
  }
  return undefined;
}

function mapsDiffer(
  actual: ReadonlyMap<unknown, unknown>,
  expected: ReadonlyMap<unknown, unknown>,
  path: string,
  within: readonly (readonly [unknown, unknown])[],
  here: () => string,
): string | undefined {
  if (actual.size !== expected.size || [...expected.keys()].some((key) => !actual.has(key))) return here();
  for (const [key, value] of expected) {
    const found = differ(actual.get(key), value, `${path}.get(${show(key)})`, within);
    if (found !== undefined) return found;
  }
  return undefined;
}

function pathOf(path: string, key: string): string {
  if (/^\d+$/.test(key)) return `${path}[${key}]`;
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

function textOf(value: unknown, inside: readonly object[]): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[function ${value.name || "without a name"}]`;
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (inside.includes(value)) return "[circular]";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Error) return `[${value.name}: ${value.message}]`;
  if (inside.length >= DEEPEST) return Array.isArray(value) ? "[…]" : "{…}";
  return partsOf(value, [...inside, value]);
}

function partsOf(value: object, inside: readonly object[]): string {
  const text = (part: unknown): string => textOf(part, inside);
  const name = Object.getPrototypeOf(value)?.constructor?.name as string | undefined;
  if (Array.isArray(value)) return `[${value.map(text).join(", ")}]`;
  if (ArrayBuffer.isView(value)) return `${name}[${[...value as Uint8Array].slice(0, LONGEST).join(", ")}]`;
  if (value instanceof Set) return `Set { ${[...value].map(text).join(", ")} }`;
  if (value instanceof Map) {
    return `Map { ${[...value].map(([key, held]) => `${text(key)} => ${text(held)}`).join(", ")} }`;
  }
  const parts = Object.entries(value).map(([key, held]) =>
    `${/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key)}: ${text(held)}`
  );
  const kind = name === undefined || name === "Object" ? "" : `${name} `;
  return parts.length === 0 ? `${kind}{}` : `${kind}{ ${parts.join(", ")} }`;
}
