/**
 * The soak: a mixed load through processes of workers, with a fault every 20 s; then every task is accounted for.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PrivateServer } from "../../support/servers.ts";
import { pause, until } from "../../support/wait.ts";
import { bareClient } from "../../redis/setup.ts";
import type { Outcome } from "../part.ts";
import { account, type Fault } from "./account.ts";
import { bundleWorker } from "../../support/bundle-worker.ts";
import { Crew } from "./crew.ts";
import { type FaultKind, FAULTS, strike } from "./faults.ts";
import { Feed } from "./feed.ts";
import { isFlat, lineThrough } from "./heap.ts";
import { shuffled } from "./random.ts";

/** From the beginning of one fault to that of the next, ms. */
const EVERY = 20_000;

/** So long after a fault is over, at most, the next task has run, ms. */
const BACK = 180_000;

/** The part of the run in which a heap still fills, and at least so many ms of it. */
const WARM_UP = { part: 0.15, least: 45_000 };

/** What is run. */
export interface SoakOptions {
  readonly kind: "rabbit" | "redis";
  /** The one that is broken. */
  readonly broker: PrivateServer;
  /** Where results are. */
  readonly backend: string;
  /** How many faults, one every 20 s. */
  readonly faults: number;
  readonly seed: number;
  /** No fault begins after this instant of `performance.now()`. */
  readonly until: number;
  readonly say: (text: string) => void;
}

/** Throws where a task is lost, ran without a reason, or the heap grows. */
export async function soak(options: SoakOptions): Promise<Outcome> {
  const { backend, broker, faults: wanted, kind, say, seed } = options;
  const folder = mkdtempSync(join(tmpdir(), "celeriac-soak-"));
  const begun = performance.now();
  const faults: Fault[] = [];
  const recoveries: number[] = [];
  try {
    const script = await bundleWorker(new URL("./worker.ts", import.meta.url), folder);
    await using crew = await Crew.start({ kind, broker, backend, folder, script });
    await using feed = await Feed.start(kind, broker);
    feed.go();
    const kinds = shuffled(FAULTS, seed);
    await until(() => crew.ran > 0, { what: "a first run", deadline: 30_000 });
    for (let number = 1; number <= wanted && performance.now() < options.until; number++) {
      const next = performance.now() + EVERY;
      const fault = await strike(kinds.next().value as FaultKind, {
        ...{ broker, crew, feed: feed.proxy, random: kinds },
      });
      faults.push(fault);
      const took = await crew.back(fault.end, BACK, fault);
      recoveries.push(took);
      say(`${number} ${fault.kind}, back after ${took} ms; ${feed.sent.size} sent, ${crew.ran} runs`);
      await pause(Math.max(1000, next - performance.now()));
    }
    await feed.end();
    await until(() => crew.hasRun(feed.confirmed()), {
      what: "the end of all tasks",
      deadline: 120_000,
      every: 250,
      seen: () => {
        const [first = "", ...others] = crew.missing(feed.confirmed());
        return `none of ${[first, ...others].join(", ")}\n${crew.story(first)}`;
      },
    });
    await crew.drain(() => feed.left());
    await crew.end();
    return await judge(options, { begun, crew, faults, feed, recoveries });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Ended {
  readonly begun: number;
  readonly crew: Crew;
  readonly feed: Feed;
  readonly faults: readonly Fault[];
  readonly recoveries: readonly number[];
}

async function judge(
  options: SoakOptions,
  { begun, crew, faults, feed, recoveries }: Ended,
): Promise<Outcome> {
  await using redis = bareClient(options.backend);
  const states = new Map<string, string>();
  const ids = [...feed.sent.keys()];
  for (let at = 0; at < ids.length; at += 1000) {
    const some = ids.slice(at, at + 1000);
    (await redis.mget(some.map((id) => `celery-task-meta-${id}`))).forEach((text, index) => {
      const state = /"status": "(\w+)"/.exec(text ?? "")?.[1];
      if (state !== undefined) states.set(some[index] ?? "", state);
    });
  }
  const found = account(crew.lives(), faults, feed.sent, states);
  const wrong = {
    lost: found.lost,
    unexplained: found.unexplained,
    phantoms: found.phantoms,
    tooEarly: found.tooEarly,
    withoutResult: found.withoutResult,
    critical: crew.critical(),
  };
  if (Object.values(wrong).some(({ length }) => length > 0)) {
    throw new Error(
      `${JSON.stringify(wrong).slice(0, 3000)}\n${crew.story(Object.values(wrong).flat()[0] ?? "")}`,
    );
  }
  const length = performance.now() - begun;
  const warm = Math.max(WARM_UP.least, WARM_UP.part * length);
  const heap = lineThrough(crew.heap(warm));
  if (!isFlat(heap)) throw new Error(`the heap grows: ${JSON.stringify(heap)}`);
  const kinds = [...feed.sent.values()].map(({ kind }) => kind);
  return {
    runs: faults.length,
    seeds: [options.seed],
    counts: {
      "tasks sent": feed.sent.size,
      ...Object.fromEntries(
        [...new Set(kinds)].map((one) => [`sent: ${one}`, kinds.filter((kind) => kind === one).length]),
      ),
      "publishes of unknown outcome": [...feed.sent.values()].filter(({ is }) => is === "unknown").length,
      "publishes that failed": [...feed.sent.values()].filter(({ is }) => is === "not").length,
      "runs begun": found.runs,
      "tasks lost": 0,
      "repeats without an explanation": 0,
      ...Object.fromEntries(
        Object.entries(found.repeats).map(([why, count]) => [`repeats because ${why}`, count]),
      ),
      "early tasks cut short by a kill": found.cutShort,
      "links that could not be sent, their task a failure": found.unfollowed,
      "results that could not be stored, told of": found.unstored,
      "processes killed": crew.killed,
      "slowest return after a fault, ms": Math.max(0, ...recoveries),
      "heap: samples after warm-up": heap.samples,
      "heap: mean, kB": Math.round(heap.mean / 1024),
      "heap: slope, kB a minute": Number((heap.slope * 60_000 / 1024).toFixed(2)),
      "heap: standard error of the slope, kB a minute": Number((heap.error * 60_000 / 1024).toFixed(2)),
      "heap: growth by the line over the whole run, %": Number((heap.growth * 100).toFixed(2)),
      "minutes under load": Number((length / 60_000).toFixed(1)),
    },
    coverage: Object.fromEntries(
      FAULTS.map((kind) => [kind, faults.filter((fault) => fault.kind === kind).length]),
    ),
  };
}
