import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { memoryBackend, memoryBroker } from "../../adapters/memory/mod.ts";
import type { BrokerFeatures } from "../../src/broker.ts";
import { type BrokerSubject, exerciseBackend, exerciseBroker } from "../../src/testing/mod.ts";
import { ROOT } from "./copy.ts";
import { promisesOf } from "./promises.ts";

interface Row {
  readonly id: string;
  readonly text: string;
  readonly held: readonly string[];
}

const ROWS: readonly Row[] = readFileSync(`${ROOT}test/contract/promises.md`, "utf8").split(/^- (?=\*\*)/m)
  .slice(1)
  .map((part) => {
    const [first = "", ...rest] = part.split("\n");
    const [, id = "", text = ""] = /^\*\*(\S+)\*\* (.*)$/.exec(first) ?? [];
    return { id, text, held: rest.filter((line) => line.startsWith("  - ")).map((line) => line.slice(4)) };
  });

const nothing = (): void => {};
const LINK = { cut: nothing, freeze: nothing, thaw: nothing };
const { features } = memoryBroker();

/** The names of all tests that a suite can declare, whatever a broker can do. */
function suites(): Readonly<Record<string, ReadonlySet<string>>> {
  const names = { broker: new Set<string>(), backend: new Set<string>() };
  const can = (more: Partial<BrokerFeatures>, rest: Partial<BrokerSubject> = {}): void =>
    exerciseBroker({ make: () => memoryBroker(), features: { ...features, ...more }, link: LINK, ...rest }, {
      test: (name) => names.broker.add(name),
    });
  const none = () => Promise.resolve();
  can({}, { server: { restart: none, alarm: none }, unreachable: () => memoryBroker() });
  can({ link: "call", park: "none", delay: false });
  can({ delivery: "poll", loss: "lease", park: "lease", resends: true, priority: "low-first" }, {
    routing: "kombu",
  });
  can({ subscribe: false, exchanges: [] }, {
    consume: (queues) => memoryBroker().consume(queues, { prefetch: 1 }),
  });
  exerciseBackend({
    make: () => memoryBackend(),
    features: memoryBackend().features,
    facts: true,
    link: LINK,
    unreachable: () => memoryBackend(),
  }, { test: (name) => names.backend.add(name) });
  return names;
}

test("each comment of the contracts is listed once, as it stands", () => {
  const listed = ROWS.filter(({ id }) => !/^[RK]-/.test(id)).map(({ id, text }) => ({ id, text }));
  const wanted = ["src/broker.ts", "src/backend.ts"].flatMap(promisesOf).map(({ id, text }) => ({
    id,
    text: text || "–",
  }));
  expect(wanted.length).toBeGreaterThan(100);
  expect(listed).toEqual(wanted);
});

test("each row of reliability is listed once", () => {
  const listed = ROWS.map(({ id }) => id).filter((id) => /^[RK]-/.test(id));
  expect(new Set(listed).size).toBe(listed.length);
  expect([
    listed.filter((id) => id.startsWith("R-")).length,
    listed.filter((id) => id.startsWith("K-")).length,
  ])
    .toEqual([42, 17]);
});

test("each test that is named exists, and what has none says why", () => {
  const names = suites();
  const wrong = ROWS.flatMap(({ id, held }) =>
    (held.length === 0 ? [""] : held).filter((entry) => {
      const [, where = "", title = ""] = /^`(\S+) > (.+)`$/.exec(entry) ?? [];
      if (where === "") {
        return entry !== "a name, no promise" && !/^out of reach, because .{20,}$/.test(entry);
      }
      if (!where.startsWith("test/")) return names[where]?.has(title) !== true;
      return !existsSync(ROOT + where) || !readFileSync(ROOT + where, "utf8").includes(`"${title}"`);
    }).map((entry) => `${id}: ${entry}`)
  );
  expect(wrong).toEqual([]);
});

test("of the promises few are out of reach", () => {
  const out = ROWS.filter(({ held }) => held.some((entry) => entry.startsWith("out of reach")));
  console.log(
    `promises: ${ROWS.length}, of which ${out.length} are out of reach: ${
      out.map(({ id }) => id).join(", ")
    }`,
  );
  expect(out.length).toBeLessThan(ROWS.length / 8);
});
