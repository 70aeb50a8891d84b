/**
 * The reducer against a real RabbitMQ: equal commands, good ones and bad ones, give equal traces (P01).
 *
 * @module
 */
import fc from "fast-check";
import { expect, inject, test } from "vitest";
import { until } from "../support/wait.ts";
import { FakeServer } from "./rabbit/fake.ts";
import { connectionOf, namesOf, type Pick, picksArb, preamble, resolve, type Step } from "./rabbit/plan.ts";
import { RealRun, RealServer } from "./rabbit/real.ts";

/** The reducer is the same on every runtime: one of them compares it at length. */
const RUNS = Number(process.env["DIFFERENTIAL_RUNS"] ?? (inject("runtime") === "node" ? 200 : 40));
/** Longest wait for a real server to come to the same state, ms. */
const PATIENCE = 2000;

/** What every run of the suite must have met at least once. */
const CLASSES = [
  "redelivery",
  "close 404",
  "close 405",
  "close 406",
  "return",
  "nacked publish",
  "consumer cancelled by the server",
  "dead letter",
  "multiple",
  "race left out",
] as const;

/** A real server works on several queues at once: a step that lets two of them speak to one channel has no one outcome. */
function races(fake: FakeServer, step: Step): boolean {
  if (step.do !== "ack" && step.do !== "nack") return false;
  const tags = fake.unsettled(step.slot);
  const released = step.deliveryTag === 0 ? tags : tags.filter(({ tag }) => tag <= step.deliveryTag);
  return step.multiple && new Set(released.map(({ queue }) => queue)).size > 1;
}

test("random channel commands give the same traces on the reducer and on RabbitMQ", async () => {
  await using server = new RealServer(inject("amqp"));
  const seen = new Map<string, number>(CLASSES.map((name) => [name, 0]));
  const note = (name: (typeof CLASSES)[number]): void => void seen.set(name, (seen.get(name) ?? 0) + 1);
  let steps = 0;

  async function run(picks: readonly Pick[]): Promise<void> {
    const names = namesOf(`celeriac.diff.${crypto.randomUUID()}`);
    const [fake, real] = [new FakeServer(), new RealRun(server)];
    const log: string[] = [];
    await real.start();
    try {
      const opening = preamble(picks, names);
      for (let at = 0; at < opening.length + picks.length; at++) {
        const pick = picks[at - opening.length];
        const step = pick === undefined ? opening[at] as Step : resolve(pick, names, fake, `m${at}`);
        const racing = races(fake, step);
        const connection = connectionOf(step.slot);
        const wasConnected = fake.isConnected(connection);
        const entangled = fake.entangled(connection);
        const tangled = fake.isOpen(step.slot) && fake.tangled(step.slot);
        fake.run(step);
        const ended = wasConnected && !fake.isConnected(connection);
        log.push(JSON.stringify(step).replaceAll(`${names.queues[0]?.slice(0, -2)}`, ""));
        // While a connection ends, its channels may still be handed each other's messages: without acks they are gone then, and with
        // them they take turns that others would have had.
        const spills = ended && (entangled || fake.sources.size > 0);
        const late = tangled && !fake.isOpen(step.slot);
        if (racing || spills || late || [...fake.sources.values()].some((queues) => queues.size > 1)) {
          note("race left out");
          await real.run(step);
          break;
        }
        if (("multiple" in step) && step.multiple) note("multiple");
        await real.run(step);
        steps++;
        if (ended) {
          await real.settled();
          for (const slot of [2 * connection, 2 * connection + 1]) {
            for (const traces of [fake.traces, real.traces]) traces[slot]?.deliveries.splice(0);
          }
        }
        const state = async () => JSON.stringify([real.traces, await server.counts(fake.owners())]);
        const wanted = JSON.stringify([fake.traces, fake.counts()]);
        try {
          await until(async () => (await state()) === wanted, {
            what: "the same state",
            deadline: PATIENCE,
            every: 3,
          });
        } catch {
          expect(JSON.parse(await state()), `after\n${log.join("\n")}`).toEqual(JSON.parse(wanted));
        }
      }
      const traces = fake.traces;
      for (const { deliveries, returns, confirms, cancels, closes } of traces) {
        if (deliveries.some((text) => / true /.test(text))) note("redelivery");
        if (deliveries.some((text) => text.endsWith("]"))) note("dead letter");
        if (returns.length > 0) note("return");
        if (confirms.some((text) => text.endsWith("false"))) note("nacked publish");
        if (cancels.length > 0) note("consumer cancelled by the server");
        for (const code of ["404", "405", "406"] as const) {
          if (closes.includes(`channel ${code}`)) note(`close ${code}`);
        }
      }
    } finally {
      await real.end();
      await server.clean(names);
    }
  }

  const seed = process.env["DIFFERENTIAL_SEED"];
  await fc.assert(fc.asyncProperty(picksArb, run), {
    numRuns: RUNS,
    ...(seed === undefined ? { seed: 20_261_122 } : { seed: Number(seed) }),
    endOnFailure: process.env["DIFFERENTIAL_SHRINK"] === undefined,
  });
  console.log(
    `differential: ${RUNS} sequences, ${steps} steps compared, ${JSON.stringify(Object.fromEntries(seen))}`,
  );
  expect([...seen].filter(([, count]) => count === 0).map(([name]) => name)).toEqual([]);
}, 60_000 + RUNS * 3000);
