/** Holds `test/interop/differences.md` against the vectors: every difference of shape has its row, every row its difference. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { load } from "./vector-files.ts";

const ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?([+-]\d\d:\d\d|Z)?$/;
/** What varies from run to run, or names the version itself. */
const VOLATILE = /\.(?:celery|kombu|sw_ver|traceback|virtual_host|all|raw)$/;

type Shape = Map<string, Set<string>>;

/** Each path of a document with the kinds of value found there. JSON inside a text is looked into. */
function shapeOf(value: unknown, path: string, shape: Shape): Shape {
  if (VOLATILE.test(path)) return shape;
  const inner = embedded(value);
  if (inner !== undefined) return shapeOf(inner, `${path}(json)`, shape);
  const kinds = shape.get(path) ?? new Set();
  shape.set(path, kinds.add(kindOf(value, path)));
  if (Array.isArray(value)) { for (const item of value) shapeOf(item, `${path}[]`, shape); }
  else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      shapeOf(item, `${path}.${key.replace(ID, "<id>")}`, shape);
    }
  }
  return shape;
}

function embedded(value: unknown): unknown {
  if (typeof value !== "string" || !/^[[{]/.test(value)) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

function kindOf(value: unknown, path: string): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value !== "string") return typeof value;
  const iso = ISO.exec(value);
  if (iso !== null) return iso[1] === undefined ? "naive instant" : "aware instant";
  return /\.(?:status|exc_type|exc_message\[\]|__type__|type|exchange_type)$/.test(path)
    ? value.replace(ID, "<id>")
    : "text";
}

/** The paths at which two documents differ in shape; below a path that one of them lacks, only that path. */
function differing(before: Shape, after: Shape): string[] {
  const all = [...new Set([...before.keys(), ...after.keys()])];
  const found = all.filter((path) =>
    String([...before.get(path) ?? []].sort()) !== String([...after.get(path) ?? []].sort())
  );
  const lacking = found.filter((path) => !before.has(path) || !after.has(path));
  return found.filter((path) =>
    !lacking.some((parent) =>
      path !== parent && /^[.[(]/.test(path.slice(parent.length)) && path.startsWith(parent)
    )
  );
}

interface WorkerVectors {
  readonly results: Readonly<
    Record<string, { readonly keys: object; published: readonly { readonly channel: string }[] }>
  >;
  readonly remote_control: unknown;
}

function documents(version: string): Readonly<Record<string, unknown>> {
  const worker = load<WorkerVectors>(`../vectors/worker.celery-${version}.json`);
  for (const result of Object.values(worker.results)) {
    // Other captures ran at the same time, and their channels were heard too.
    result.published = result.published.filter(({ channel }) => channel in result.keys);
  }
  return {
    task: load<{ cases: unknown }>(`../vectors/task-messages.amqp.celery-${version}.json`).cases,
    worker: { ...worker.results, remote_control: worker.remote_control },
    control: load(`../vectors/control-and-events.amqp.celery-${version}.json`),
  };
}

const differences = Object.keys(documents("5.2.6")).flatMap((name) =>
  differing(
    shapeOf(documents("5.2.6")[name], name, new Map()),
    shapeOf(documents("5.6.2")[name], name, new Map()),
  )
);

const rows = readFileSync(new URL("../interop/differences.md", import.meta.url), "utf8").split("\n")
  .flatMap((line) => /^\| `([^`]+)` +\|/.exec(line)?.[1] ?? []);

function covers(row: string, path: string): boolean {
  const pattern = row.split("*").map((part) => part.replace(/[.[\]()<>@$+?^{}|\\]/g, "\\$&")).join(".*");
  return new RegExp(`^${pattern}$`).test(path);
}

test("every difference between the vectors of 5.2.6 and 5.6.2 has a row in differences.md", () => {
  expect(differences.length).toBeGreaterThan(50);
  expect(differences.filter((path) => !rows.some((row) => covers(row, path)))).toEqual([]);
});

test("every row of differences.md describes a difference between the vectors", () => {
  expect(rows.filter((row) => !differences.some((path) => covers(row, path)))).toEqual([]);
});
