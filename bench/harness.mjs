/**
 * `npm run bench:harness`: tasks through one worker of one harness, their results stored and dropped: tasks a second, where the time goes,
 * and how the heap stands. It fails where a task is missing, and where the heap has grown beyond 1.5 times what it was after the warm-up,
 * plus 8 MB.
 *
 * `TASKS` (1000000) and `WIDTH` (500, sends under way at a time) are the size. `FIGURES` names a file for the figures, as JSON;
 * `npm run test:long -- harness-million` writes the record.
 *
 * @module
 */
import { Celery } from "celeriac";
import { createHarness } from "celeriac/testing";
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import process from "node:process";

const count = Number(process.env.TASKS ?? 1_000_000);
const width = Number(process.env.WIDTH ?? 500);
const rounds = Math.ceil(count / width);
/** What the heap may become, MB, where it was so much after the warm-up. Thirteen bytes kept of each of a million tasks are too many. */
const BOUND = (before) => before * 1.5 + 8;

/** What a part of the package does for a task; the first that fits. */
const PARTS = [
  ["simulator", /\/src\/testing\//],
  ["reducer", /\/adapters\/memory\/rabbit\//],
  ["memory pair", /\/adapters\/memory\//],
  ["encode and decode", /\/src\/protocol\//],
  ["worker", /\/src\/worker\//],
  ["sender", /\/src\/(app|producer|result|canvas|lib)\//],
  ["runtime", /^node:/],
];

if (globalThis.gc === undefined) throw new Error("the heap holds garbage, too: run it with --expose-gc");

/** Heap that is in use after a full collection, MB. */
function heap() {
  globalThis.gc();
  return process.memoryUsage().heapUsed / 1e6;
}

/** The share of each part in a CPU profile. */
function shares({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const spent = new Map();
  let total = 0;
  samples.forEach((id, at) => {
    const { functionName, url } = byId.get(id).callFrame;
    const [part = functionName === "(garbage collector)" ? "garbage" : "engine"] = PARTS.find(([, pattern]) =>
      pattern.test(url)
    ) ?? [];
    spent.set(part, (spent.get(part) ?? 0) + timeDeltas[at]);
    total += timeDeltas[at];
  });
  return [...spent].sort(([, a], [, b]) => b - a).map(([part, time]) => [part, time / total]);
}

const app = new Celery("bench");
let ran = 0;
let sent = 0;
const add = app.task("bench.add", { params: ["x", "y"] }, (x, y) => {
  ran++;
  return x + y;
});
const harness = await createHarness(app, { record: false });

/** One wave of sends; all of them run, and their results are dropped. */
async function round() {
  const results = await Promise.all(Array.from({ length: width }, (_, at) => add.delay(at, 1)));
  await harness.drain();
  await Promise.all(results.map((result) => result.forget()));
  sent += width;
}

/** How long it takes: on the clock, and on the processor (which others may share), ms. */
async function timed(times, note = () => {}) {
  const begin = performance.now();
  const cpu = process.cpuUsage();
  for (let at = 0; at < times; at++) {
    await round();
    note(at);
  }
  const { user, system } = process.cpuUsage(cpu);
  return { wall: performance.now() - begin, cpu: (user + system) / 1000 };
}

const warm = Math.min(rounds, Math.ceil(20_000 / width));
await timed(warm);
const before = heap();
const seen = [];
const { wall, cpu } = await timed(rounds, (at) => {
  if ((at + 1) % Math.ceil(rounds / 10) === 0) seen.push(heap());
});
const after = heap();
const done = rounds * width;
console.log(`${done} tasks through one harness worker; node ${process.version}`);
const rate = (ms) => `${Math.round(done / ms * 1000)} tasks/s, ${(ms / done * 1000).toFixed(1)} µs a task`;
console.log(`${rate(wall)}; by the processor's time ${rate(cpu)}`);
console.log(
  `heap after warm-up ${before.toFixed(1)} MB, at the end ${after.toFixed(1)} MB; on the way ${
    seen.map((mb) => mb.toFixed(1)).join(" ")
  }`,
);

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.start");
await timed(Math.min(rounds, Math.ceil(100_000 / width)));
const { profile } = await session.post("Profiler.stop");
session.disconnect();
console.log("where the time goes:");
const spent = shares(profile).filter(([, share]) => share >= 0.005);
for (const [part, share] of spent) {
  console.log(`  ${part.padEnd(18)}${(share * 100).toFixed(1).padStart(5)} %`);
}
await harness[Symbol.asyncDispose]();

if (process.env.FIGURES) {
  const short = (value) => Number(value.toFixed(1));
  const figures = {
    tasks: done,
    wall: Math.round(done / wall * 1000),
    cpu: short(cpu / done * 1000),
    heap: { before: short(before), onTheWay: seen.map(short), after: short(after) },
    shares: Object.fromEntries(spent.map(([part, share]) => [part, short(share * 100)])),
  };
  writeFileSync(process.env.FIGURES, JSON.stringify(figures));
}
const problems = [];
if (ran !== sent) problems.push(`${sent} tasks were sent, and ${ran} ran`);
const most = Math.max(after, ...seen);
if (most > BOUND(before)) {
  problems.push(
    `the heap is not flat: ${before.toFixed(1)} MB after the warm-up, then ${most.toFixed(1)} MB, more than ${
      BOUND(before).toFixed(1)
    } MB`,
  );
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
