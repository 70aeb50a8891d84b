/**
 * `npm run bench:harness`: tasks through one worker of one harness, their results stored and dropped: tasks a second, where the time goes,
 * and how the heap stands. It prints figures, and fails only where a task is missing.
 *
 * `TASKS` (1000000) and `WIDTH` (500, sends under way at a time) are the size.
 *
 * @module
 */
import { Celery } from "celeriac";
import { createHarness } from "celeriac/testing";
import { Session } from "node:inspector/promises";
import process from "node:process";

const count = Number(process.env.TASKS ?? 1_000_000);
const width = Number(process.env.WIDTH ?? 500);
const rounds = Math.ceil(count / width);

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

/** Heap that is in use after a full collection, MB. */
function heap() {
  globalThis.gc?.();
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

if (globalThis.gc === undefined) console.log("(without --expose-gc the heap holds garbage, too)");
const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.start");
await timed(Math.min(rounds, Math.ceil(100_000 / width)));
const { profile } = await session.post("Profiler.stop");
session.disconnect();
console.log("where the time goes:");
for (const [part, share] of shares(profile)) {
  if (share >= 0.005) console.log(`  ${part.padEnd(18)}${(share * 100).toFixed(1).padStart(5)} %`);
}
await harness[Symbol.asyncDispose]();
if (ran !== sent) throw new Error(`${sent} tasks were sent, and ${ran} ran`);
