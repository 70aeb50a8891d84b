/**
 * The contract suite for brokers: one named test for each promise of `src/broker.ts`. What a broker cannot do is known from its
 * feature record alone, never from its name.
 *
 * @module
 */
import { Bench, type Suite } from "./bench.ts";
import { arriveTests } from "./broker/arrive.ts";
import { consumeTests } from "./broker/consume.ts";
import { consumerTests } from "./broker/consumer.ts";
import { declareTests } from "./broker/declare.ts";
import { lifeTests } from "./broker/life.ts";
import { lossTests } from "./broker/loss.ts";
import { lostDeliveryTests } from "./broker/lost-delivery.ts";
import { parkTests } from "./broker/park.ts";
import { publishTests } from "./broker/publish.ts";
import { reachTests } from "./broker/reach.ts";
import { recoverTests } from "./broker/recover.ts";
import { routeTests } from "./broker/route.ts";
import { serverTests } from "./broker/server.ts";
import { settleTests } from "./broker/settle.ts";
import { subscribeTests } from "./broker/subscribe.ts";
import { Check } from "./check.ts";
import type { Runner } from "./runner.ts";
import type { BrokerSubject } from "./subject.ts";
import { trial } from "./trial.ts";

/**
 * Declares the tests of the broker contract, `runner.test` once for each promise. Which ones there are follows from `subject.features`:
 * a broker that parks is asked to park, one that cannot is asked to refuse. Their names begin with the part of the contract
 * ("publish: …"), and are unique.
 *
 * Each test uses names of its own and leaves its queues empty. They must run one after the other where `subject.link` is given, since
 * that cuts the links of all.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { test } from "node:test";
 * import { memoryBroker, MemoryWorld } from "celeriac/memory";
 * import { exerciseBroker } from "celeriac/testing";
 *
 * const world = new MemoryWorld(); // the server
 *
 * exerciseBroker({
 *   make: () => memoryBroker({ world }), // yours; all of them speak to one server
 *   features: { // what yours can do, the whole of it
 *     link: "shared",
 *     confirm: "memory",
 *     mustRoute: true,
 *     resends: false,
 *     exchanges: ["direct", "topic", "fanout"],
 *     delay: true,
 *     priority: "high-first",
 *     maxMessage: 128 * 1024 * 1024,
 *     delivery: "push",
 *     subscribe: true,
 *     requeue: "publication",
 *     park: "copy",
 *     maxPark: 28 * 86_400_000,
 *     loss: "link",
 *     attempts: false,
 *   },
 *   link: { cut: () => world.cut(), freeze: () => world.freeze(), thaw: () => world.thaw() },
 * }, { test, assert });
 * ```
 */
export function exerciseBroker(subject: BrokerSubject, runner: Runner): void {
  const check = new Check(runner.assert);
  const suite = <S extends BrokerSubject>(part: string, of: S): Suite<S> => ({
    subject: of,
    check,
    test: (name, run) => void runner.test(`${part}: ${name}`, () => trial(new Bench(of, check), run)),
  });
  const { link, server, unreachable } = subject;
  lifeTests(suite("life", subject));
  declareTests(suite("declare", subject));
  publishTests(suite("publish", subject));
  arriveTests(suite("publish", subject));
  routeTests(suite("route", subject));
  if (unreachable !== undefined) reachTests(suite("reach", { ...subject, unreachable }));
  if (subject.consume !== undefined) return;
  consumeTests(suite("consume", subject));
  consumerTests(suite("consumer", subject));
  settleTests(suite("settle", subject));
  parkTests(suite("park", subject));
  if (subject.features.subscribe) subscribeTests(suite("subscribe", subject));
  if (server !== undefined) serverTests(suite("server", { ...subject, server }));
  if (link === undefined) return;
  lossTests(suite("loss", { ...subject, link }));
  recoverTests(suite("loss", { ...subject, link }));
  lostDeliveryTests(suite("lost delivery", { ...subject, link }));
}
