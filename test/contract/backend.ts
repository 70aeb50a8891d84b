/**
 * The contract suite for result backends: one named test for each promise of `src/backend.ts`.
 *
 * @module
 */
import { describe } from "vitest";
import type { Backend } from "../../src/backend.ts";
import { exerciseFacts } from "./backend/facts.ts";
import { exerciseStore } from "./backend/store.ts";
import { exerciseWatch } from "./backend/watch.ts";

/** A backend under test. */
export interface BackendSubject {
  /** A fresh backend object; all of them speak to one and the same store. */
  make(): Backend | Promise<Backend>;
  /** The whole feature record that the adapter is expected to declare. */
  readonly features: Backend["features"];
  /** Whether it keeps facts. */
  readonly facts: boolean;
  /**
   * The shortest time to live that the store can keep, ms.
   *
   * @default 1000
   */
  readonly shortestTtl?: number;
  /**
   * How long an awaited thing may take, ms.
   *
   * @default 10000
   */
  readonly patience?: number;
}

/** Declares the whole suite as vitest tests. */
export function exerciseBackend(subject: BackendSubject): void {
  describe("store", () => exerciseStore(subject));
  describe("watch", () => exerciseWatch(subject));
  if (subject.facts) describe("facts", () => exerciseFacts(subject));
}
