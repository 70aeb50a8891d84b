/**
 * The contract suite for brokers: one named test for each promise of `src/broker.ts`. What a broker cannot do is known from its
 * feature record alone, never from its name.
 *
 * @module
 */
import { describe } from "vitest";
import type { BrokerSubject } from "./bench.ts";
import { exerciseConsume } from "./broker/consume.ts";
import { exerciseLoss } from "./broker/loss.ts";
import { exercisePublish } from "./broker/publish.ts";
import { exerciseSettle } from "./broker/settle.ts";
import { exerciseSubscribe } from "./broker/subscribe.ts";
import { exerciseTopology } from "./broker/topology.ts";

export type { BrokerSubject, LinkFaults } from "./bench.ts";

/** Declares the whole suite as vitest tests. */
export function exerciseBroker(subject: BrokerSubject): void {
  describe("topology", () => exerciseTopology(subject));
  describe("publish", () => exercisePublish(subject));
  if (subject.consume !== undefined) return;
  describe("consume", () => exerciseConsume(subject));
  describe("settle", () => exerciseSettle(subject));
  if (subject.features.subscribe) describe("subscribe", () => exerciseSubscribe(subject));
  const { link } = subject;
  if (link !== undefined) describe("lost links", () => exerciseLoss({ ...subject, link }));
}
