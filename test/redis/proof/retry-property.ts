/**
 * P17: over HTTP each logical publish stands in its queues once, though any request is repeated and any answer lost.
 *
 * @module
 */
import fc from "fast-check";
import { upstashBroker, upstashPublisher } from "../../../adapters/redis/http.ts";
import type { Entity, Outgoing, Verdict } from "../../../src/broker.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import type { Clock } from "../../../src/lib/port.ts";
import { Coverage } from "../../support/coverage.ts";
import { type PlannedFault, startGateway } from "../../support/gateway.ts";
import { bareClient } from "../setup.ts";
import { letter } from "../../../src/testing/contract/letter.ts";

const QUEUES = ["q0", "q1"] as const;
const SEPARATOR = "\x06\x16";

/** Where a message goes, and which queues must have it. */
const ROADS: readonly { readonly to: Outgoing["to"]; readonly queues: readonly string[] }[] = [
  { to: { exchange: "", routingKey: "q0" }, queues: ["q0"] },
  { to: { exchange: "", routingKey: "q1" }, queues: ["q1"] },
  { to: { exchange: "one", routingKey: "key" }, queues: ["q1"] },
  { to: { exchange: "both", routingKey: "key" }, queues: ["q0", "q1"] },
  { to: { exchange: "one", routingKey: "another" }, queues: [] },
];

const DECLARE: readonly Entity[] = [
  ...["one", "both"].map((name): Entity => ({
    kind: "exchange",
    name,
    type: "direct",
    durable: true,
    autoDelete: false,
  })),
  { kind: "binding", exchange: "one", routingKey: "key", queue: "q1" },
  ...QUEUES.map((queue): Entity => ({ kind: "binding", exchange: "both", routingKey: "key", queue })),
];

const FAULTS: Readonly<Record<PlannedFault | "none", number>> = {
  none: 4,
  drop: 4,
  cut: 2,
  swallow: 1,
  silent: 1,
  close: 2,
  twice: 3,
  again: 3,
};

/** Time for the sender goes by so much faster than it does: a silent server is given up in little of it. */
const FASTER = 20;

const fast: Clock = {
  ...systemPlatform.clock,
  now: () => systemPlatform.clock.now() * FASTER,
  after: (ms, callback, options) => systemPlatform.clock.after(ms / FASTER, callback, options),
};

interface Batch {
  readonly roads: readonly number[];
  readonly lean: boolean;
  readonly priority: number;
}

const batch: fc.Arbitrary<Batch> = fc.record({
  roads: fc.array(fc.nat(ROADS.length - 1), { minLength: 1, maxLength: 4 }),
  lean: fc.boolean(),
  priority: fc.constantFrom(0, 4, 9),
});

const fault = fc.oneof(
  ...Object.entries(FAULTS).map(([kind, weight]) => ({
    weight,
    arbitrary: fc.constant(kind as keyof typeof FAULTS),
  })),
);

/** What is run, and how. */
export interface RetryOptions {
  /** A private server: it is emptied before each case. */
  readonly url: string;
  readonly runs: number;
  readonly seed: number;
  /** No case begins after this instant of `performance.now()`. */
  readonly until?: number;
  readonly onRun?: (done: number) => void;
}

/** Throws at the first case that breaks the property, with its seed and path. */
export async function retryProperty(
  { onRun, url, runs, seed, until = Infinity }: RetryOptions,
): Promise<Coverage> {
  const cover = new Coverage("P17 http retry", [
    ...Object.keys(FAULTS),
    "several requests at once",
    "confirmed after a repeat",
    "unroutable after a repeat",
    "both of two queues",
    "a fault for a repeat, too",
  ]);
  await using redis = bareClient(url);
  await using gateway = await startGateway({ redis: url });
  const makers = [upstashBroker, upstashPublisher].map((make) =>
    make({ url: gateway.url, token: gateway.token, platform: { ...systemPlatform, clock: fast } })
  );

  async function one(batches: readonly Batch[], faults: readonly (keyof typeof FAULTS)[]): Promise<void> {
    if (performance.now() >= until) return;
    await redis.flushall();
    const begun = gateway.requests.length;
    gateway.faults.plan(faults);
    let number = 0;
    const sent = batches.map(({ roads, lean, priority }) => {
      const messages = roads.map((road) => ({
        road: ROADS[road] as (typeof ROADS)[number],
        number: number++,
      }));
      const outgoing = messages.map(({ road: { to }, number }): Outgoing => ({
        message: letter(String(number), { priority }),
        to,
        mustRoute: true,
      }));
      const verdicts = makers[lean ? 1 : 0]?.publish(outgoing, {
        declare: DECLARE,
        deadline: fast.now() + 20_000,
      });
      return { messages, verdicts: verdicts ?? Promise.resolve([]) };
    });
    const settled = await Promise.all(
      sent.map(async ({ messages, verdicts }) => ({ messages, verdicts: await verdicts })),
    );
    const left = gateway.faults.planned;
    gateway.faults.heal();
    await gateway.quiet();

    const places = new Map<number, string[]>();
    for (const queue of QUEUES) {
      for (const step of ["", "3", "9"]) {
        const list = step === "" ? queue : queue + SEPARATOR + step;
        for (const text of await redis.lrange(list, 0, -1)) {
          const found = Number(atob((JSON.parse(text) as { readonly body: string }).body));
          places.set(found, [...places.get(found) ?? [], queue]);
        }
      }
    }
    const repeats = repeatsOf(gateway.requests.slice(begun).map(({ body }) => body));
    for (const { messages, verdicts } of settled) {
      messages.forEach(({ number, road: { queues } }, at) => {
        const { is } = verdicts[at] as Verdict;
        const at_ = places.get(number) ?? [];
        const fits = {
          confirmed: queues.length > 0 && String(at_.sort()) === String(queues),
          unroutable: queues.length === 0 && at_.length === 0,
          refused: at_.length === 0,
          unknown: at_.length === 0 || String(at_.sort()) === String(queues),
        }[is];
        if (!fits) {
          throw new Error(
            `message ${number} for ${queues.join(", ")} is ${is}, and stands in ${at_.join(", ")}`,
          );
        }
        cover.note("confirmed after a repeat", repeats > 0 && is === "confirmed");
        cover.note("unroutable after a repeat", repeats > 0 && is === "unroutable");
        cover.note("both of two queues", at_.length === 2);
      });
    }
    for (const kind of faults.slice(0, faults.length - left)) cover.note(kind);
    cover.note("several requests at once", batches.length > 1);
    cover.note("a fault for a repeat, too", repeats > 1);
    cover.runs++;
    onRun?.(cover.runs);
  }

  const property = fc.asyncProperty(
    fc.array(batch, { minLength: 1, maxLength: 3 }),
    fc.array(fault, { maxLength: 8, size: "max" }),
    one,
  );
  const details = await fc.check(property, { seed, numRuns: runs, endOnFailure: true });
  if (!details.failed) return cover;
  const where = `seed ${details.seed}, path "${details.counterexamplePath}"`;
  const example = JSON.stringify(details.counterexample);
  throw new Error(`P17: ${where}: ${String(details.errorInstance)} with ${example}`, {
    cause: details.errorInstance,
  });
}

/** How many requests came for a publish that had come before. */
function repeatsOf(bodies: readonly string[]): number {
  const ids = bodies.flatMap((body) => /celeriac:pub:[0-9a-f-]{36}/.exec(body)?.slice(0, 1) ?? []);
  return ids.length - new Set(ids).size;
}
