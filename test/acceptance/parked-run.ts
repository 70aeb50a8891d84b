/**
 * A21: many tasks whose time is far. The broker keeps them, not the worker; what is due meanwhile is served; each runs once, and none too early.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import type { RabbitServer } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bench } from "./bench.ts";

/** What is run. */
export interface ParkedOptions {
  readonly server: RabbitServer;
  readonly tasks: number;
  /** The first is due so long after the beginning, ms; all of them must be parked by then. */
  readonly first: number;
  /** The others are due within so long after the first, ms. */
  readonly spread: number;
  /** Nothing is waited for beyond this instant of `performance.now()`. */
  readonly until?: number;
  readonly onProgress?: (line: string) => void;
}

/** What came of it. Memory is in MiB. */
export interface ParkedReport {
  /** How long it took until the worker had put them all off, ms. */
  readonly parking: number;
  /** Of this process, which sends and works: before the first task, and the most while they were put off and waited. */
  readonly before: number;
  readonly most: number;
  /** Tasks that the worker held or had before it, the most at a time. */
  readonly held: number;
  /** Of the broker, when all of them waited. */
  readonly broker: number;
  /** Tasks due at once that were sent meanwhile, and the slowest of them, ms. */
  readonly probes: number;
  readonly slowestProbe: number;
  /** How late the latest task began, ms. */
  readonly latest: number;
}

const BATCH = 500;
const MIB = 2 ** 20;

/** Throws where a task runs twice, too early, or not at all. */
export async function parkedRun(options: ParkedOptions): Promise<ParkedReport> {
  const { first, onProgress = () => {}, server, spread, tasks, until: end = Infinity } = options;
  await using rig = await bench(server, { workerParkAfter: "1s", taskIgnoreResult: true });
  const runs = new Uint8Array(tasks);
  const [probed, wrong]: [Map<number, number>, string[]] = [new Map(), []];
  let [ran, latest] = [0, 0];
  const begin = Date.now() + first;
  const dueOf = (task: number): number => begin + Math.round(spread * task / tasks);
  rig.app.task("parked.far", (task: number) => {
    const late = Date.now() - dueOf(task);
    if (late < 0) wrong.push(`${task} ran ${-late} ms too early`);
    if ((runs[task] ?? 0) > 0) wrong.push(`${task} ran again`);
    runs[task] = 1;
    latest = Math.max(latest, late);
    ran++;
  });
  rig.app.task("parked.probe", (number: number) => void probed.set(number, performance.now()));
  await using bare = { broker: amqpBroker(server.url), [Symbol.asyncDispose]: () => bare.broker.close() };
  const rss = (): number => Math.round(process.memoryUsage.rss() / MIB);
  const before = rss();
  const { ended, worker } = await rig.work();
  /** Neither put off yet nor run. */
  const waiting = async (): Promise<number> => {
    const { active, concluding, reserved } = worker.snapshot();
    return await bare.broker.count(rig.queue) + active.length + concluding.length + reserved.length;
  };
  let [most, held, slowestProbe, probes] = [before, 0, 0, 0];
  let sending = true;

  /** Tasks due at once go on being served. */
  async function watch(): Promise<void> {
    for (; sending || await waiting() > 0; probes++) {
      const sent = performance.now();
      await rig.sender.sendTask("parked.probe", { args: [probes] });
      await until(() => probed.has(probes) || ended() !== undefined, {
        what: `probe ${probes}`,
        // A queue is served in its order: what stands before it is put off first.
        deadline: Math.max(60_000, first),
      });
      if (ended() !== undefined) throw new Error("the worker ended", { cause: ended() });
      slowestProbe = Math.max(slowestProbe, (probed.get(probes) ?? 0) - sent);
      most = Math.max(most, rss());
      held = Math.max(held, worker.snapshot().reserved.length);
    }
  }

  const started = performance.now();
  const watching = watch();
  // Awaited below, after the sending: until then a failure must not count as unhandled.
  watching.catch(() => {});
  for (let at = 0; at < tasks; at += BATCH) {
    const calls = Array.from({ length: Math.min(BATCH, tasks - at) }, (_, index) => {
      const task = at + index;
      return { name: "parked.far", args: [task], eta: new Date(dueOf(task)) };
    });
    for (const outcome of await rig.sender.sendMany(calls)) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
    onProgress(`${at + calls.length} sent, ${await waiting()} to be put off`);
    // A sender that never waits would leave this process's only thread to nobody else.
    await setImmediate();
  }
  sending = false;
  await watching;
  const parking = performance.now() - started;
  if (Date.now() > begin) {
    throw new Error(`putting them off took ${parking.toFixed(0)} ms: the first ones were due`);
  }
  const broker = Math.round(Number(await server.evaluate("erlang:memory(total)")) / MIB);
  onProgress(`all put off after ${parking.toFixed(0)} ms`);
  await until(() => ran >= tasks || wrong.length > 0, {
    what: "the last task",
    deadline: Math.min(first + spread + 120_000, end - performance.now()),
    every: 50,
    seen: () => `${ran} of ${tasks}`,
  });
  if (wrong.length > 0) throw new Error(wrong.slice(0, 10).join("; "));
  most = Math.max(most, rss());
  return { parking, before, most, held, broker, probes, slowestProbe, latest };
}
