/**
 * P15 and P16: claims, leases and sweeps, of ours alone and with kombu's steps between, on a private Redis.
 *
 * @module
 */
import fc from "fast-check";
import { LinkCommands } from "../../../adapters/redis/commands.ts";
import { LeaseKeys } from "../../../adapters/redis/lease/keys.ts";
import { CLAIM, RENEW, RESTORE, SETTLE } from "../../../adapters/redis/lease/scripts.ts";
import { serverOf } from "../../../adapters/redis/server.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import { Coverage } from "../../support/coverage.ts";
import type { Python } from "../../support/python.ts";
import { bareClientOf } from "../bare-client.ts";
import { LeaseRun } from "./lease-run.ts";
import { QUEUES, ROUTE } from "./lease-scene.ts";
import { MIXED, OURS, stepsOf } from "./steps.ts";

const OWN_CLASSES = [
  "a message that is not urgent",
  "claimed",
  "claimed nothing",
  "a claim's answer was lost",
  "a lost answer was given again",
  "a late claim",
  "a late claim took what its consumer gets next",
  "a late settle",
  "a late renew",
  "a lease was renewed",
  "a renewal told of a lost lease",
  "acked",
  "requeued",
  "parked",
  "a parked message came out",
  "a stale ack",
  "a stale requeue",
  "a stale park",
  "a settlement's answer was lost",
  "a settlement was repeated",
  "swept: a consumer of ours was gone",
  "swept: the visibility timeout of ours was over",
  "swept: a parked message that nobody took",
  "a sweep put several into one list",
  "a sweep came too late for an entry",
  "something happened between a sweep's look and its act",
  "a consumer died with messages",
  "a consumer's beat ended",
  "a clock was set back",
] as const;

const KOMBU_CLASSES = [
  "kombu's ack",
  "kombu's reject",
  "kombu's requeue",
  "kombu's stale settlement did nothing",
  "kombu took a message under a tag that it had before",
  "swept: the visibility timeout of kombu's was over",
  "kombu's sweep put back what ours held",
  "kombu's sweep put back kombu's",
  "kombu's sweep put back what was parked",
  "kombu robbed a lease that was renewed meanwhile",
  "kombu closed holding messages",
  "kombu died holding messages",
  "kombu lost a message in its window",
] as const;

/** How long a shorter sequence is looked for once one failed, ms. */
const SEARCH = 30_000;

/** What is run, and how. */
export interface LeaseOptions {
  /** A private server: it is emptied before each sequence. */
  readonly url: string;
  readonly runs: number;
  readonly seed: number;
  /** Replays one sequence. */
  readonly path?: string;
  /** No sequence begins after this instant of `performance.now()`. */
  readonly until?: number;
  readonly onRun?: (done: number) => void;
  /** Whether a shorter sequence is looked for once one failed (true). */
  readonly shrink?: boolean;
  /** kombu's steps come between. */
  readonly python?: Python;
}

/** What came of it. */
export interface LeaseReport {
  readonly cover: Coverage;
  /** Steps taken. */
  readonly steps: number;
  /** Messages that kombu popped and did not put into `unacked` before it died or closed: its own window, and no loss of ours. */
  readonly lostByKombu: number;
}

/** Throws at the first sequence that breaks the property, with its seed, its path and the shortest form of it that was found. */
export async function leaseProperty(options: LeaseOptions): Promise<LeaseReport> {
  const { url, runs, seed, path, python } = options;
  let { until = Infinity } = options;
  const name = python === undefined ? "P15 claim lease" : "P16 mixed fleet";
  const cover = new Coverage(name, python === undefined ? OWN_CLASSES : [...OWN_CLASSES, ...KOMBU_CLASSES]);
  const { clock } = systemPlatform;
  const { own, subject } = serverOf("broker", "proof", url, {}, clock);
  const limits = { connectTimeout: 5000, commandTimeout: 20_000, longestPause: 100 };
  const commands = new LinkCommands({ ...limits, subject, platform: systemPlatform, open: own("proof") });
  await using redis = bareClientOf(url);
  for (const { text } of [CLAIM, SETTLE, RENEW, RESTORE]) await redis.script("LOAD", text);
  let steps = 0;
  let lostByKombu = 0;
  let prefix = "";

  const property = fc.asyncProperty(
    python === undefined ? stepsOf(OURS) : stepsOf(MIXED, { shortest: 40, longest: 120 }),
    async (sequence) => {
      if (performance.now() >= until) return;
      await redis.flushall();
      // kombu's other half is told of no prefix here.
      prefix = python === undefined && prefix === "" ? "some:" : "";
      await using broker = Object.assign(redisBroker(url, { globalKeyprefix: prefix }), {
        [Symbol.asyncDispose]: () => broker.close(),
      });
      await broker.declare([
        { kind: "exchange", name: ROUTE.exchange, type: "direct", durable: true, autoDelete: false },
        { kind: "binding", ...ROUTE, queue: QUEUES[0] },
      ]);
      const run = new LeaseRun({
        ...{ redis, url, broker, commands, subject, cover },
        keys: new LeaseKeys(prefix),
        ...(python && { python }),
      });
      await run.start(3, python === undefined ? 0 : 2);
      try {
        for (const step of sequence) await run.step(step);
        await run.keys();
        await run.drain();
      } catch (error) {
        // The search for the shortest sequence ends some time.
        until = Math.min(until, performance.now() + SEARCH);
        throw run.failure ?? error;
      } finally {
        await run.end();
      }
      cover.runs++;
      options.onRun?.(cover.runs);
      steps += run.log.length;
      lostByKombu += run.lost;
    },
  );
  try {
    const details = await fc.check(property, {
      seed,
      numRuns: path === undefined ? runs : 1,
      endOnFailure: !(options.shrink ?? true),
      ...(path === undefined ? {} : { path }),
    });
    if (details.failed) {
      const where =
        `seed ${details.seed}, path "${details.counterexamplePath}", ${details.numShrinks} times shrunk`;
      throw new Error(`${name}: ${where}: ${String(details.errorInstance)}`, {
        cause: details.errorInstance,
      });
    }
  } finally {
    await commands.close();
  }
  return { cover, steps, lostByKombu };
}
