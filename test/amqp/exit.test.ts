/**
 * A script ends by itself once its broker is closed.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { expect, inject, test } from "vitest";
import { startChild } from "../support/child.ts";
import { until } from "../support/wait.ts";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const START: Readonly<Record<string, readonly string[]>> = {
  node: [path("../../scripts/ts.mjs")],
  bun: ["run"],
  deno: ["run", "-A"],
};

test.each([
  ["made", "amqp://127.0.0.1:1//", ["done"]],
  ["published", inject("amqp"), ["unroutable", "done"]],
  ["used", inject("amqp"), ["done"]],
  ["refused", "amqp://127.0.0.1:1//", ["broker-unreachable", "done"]],
])("a script whose broker was %s ends", async (way, url, said) => {
  const args = [...START[inject("runtime")] ?? [], path("./fixtures/exit.ts"), url, way];
  await using child = startChild(process.execPath, args);
  const lines: string[] = [];
  child.onLine((line) => lines.push(line));
  await child.saw(/done/, 15_000);
  // Well below the 30 s of a publish's timer and the 60 s of a heartbeat.
  await until(() => child.ended !== undefined, {
    what: `the end of the script; it said ${child.log}`,
    deadline: 3000,
  });
  expect(child.ended).toBe("exit 0");
  expect(lines).toEqual(said);
});
