/**
 * The contract suite for brokers: one named test for each promise of `src/broker.ts`. What a broker cannot do is known from its
 * feature record alone, never from its name.
 *
 * @module
 */
import { Bench, type Suite } from "./bench.ts";
import { consumeTests } from "./broker/consume.ts";
import { lossTests } from "./broker/loss.ts";
import { publishTests } from "./broker/publish.ts";
import { settleTests } from "./broker/settle.ts";
import { subscribeTests } from "./broker/subscribe.ts";
import { topologyTests } from "./broker/topology.ts";
import { Check } from "./check.ts";
import type { Runner } from "./runner.ts";
import type { BrokerSubject } from "./subject.ts";

/**
 * Declares the tests of the broker contract, `runner.test` once for each promise. Which ones there are follows from `subject.features`:
 * a broker that parks is asked to park, one that cannot is asked to refuse. Their names begin with the part of the contract
 * ("publish: …"), and are unique.
 *
 * Each test uses names of its own and leaves its queues empty. They must run one after the other where `subject.link` is given, since
 * that cuts the links of all.
 */
export function exerciseBroker(subject: BrokerSubject, runner: Runner): void {
  const check = new Check(runner.assert);
  const suite = <S extends BrokerSubject>(part: string, of: S): Suite<S> => ({
    subject: of,
    check,
    test: (name, run) => void runner.test(`${part}: ${name}`, () => within(new Bench(of, check), run)),
  });
  topologyTests(suite("topology", subject));
  publishTests(suite("publish", subject));
  if (subject.consume !== undefined) return;
  consumeTests(suite("consume", subject));
  settleTests(suite("settle", subject));
  if (subject.features.subscribe) subscribeTests(suite("subscribe", subject));
  const { link } = subject;
  if (link !== undefined) lossTests(suite("loss", { ...subject, link }));
}

/** A failure of the test counts, not one of the clearing after it. */
async function within(bench: Bench, run: (bench: Bench) => Promise<void>): Promise<void> {
  try {
    await run(bench);
  } catch (error) {
    await bench.clear().catch(() => {});
    throw error;
  }
  await bench.clear();
}
