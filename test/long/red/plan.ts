/**
 * Which test is run with which saboteur, known without any server.
 *
 * @module
 */
import type { Saboteur, SuiteName } from "./saboteur.ts";
import { SUITES, testsOf } from "./suites.ts";

/** A test of a suite. */
export interface Place {
  readonly suite: SuiteName;
  readonly test: string;
}

/** One run of a test: as the adapter is, or through a saboteur. */
export interface Trial extends Place {
  readonly saboteur: Saboteur | undefined;
}

export interface Plan {
  readonly places: readonly Place[];
  readonly trials: readonly Trial[];
  /** In sentences: saboteurs without a test, tests without a saboteur. */
  readonly gaps: readonly string[];
}

export function planOf(saboteurs: readonly Saboteur[]): Plan {
  const places = SUITES.flatMap((suite) => testsOf(suite).map((test): Place => ({ suite, test })));
  const gaps: string[] = [];
  const sabotaged = saboteurs.flatMap((saboteur) => {
    const { name, on = SUITES, reds } = saboteur;
    const meant = new Set<Place>();
    for (const begin of reds) {
      const found = places.filter(({ suite, test }) => on.includes(suite) && test.startsWith(begin));
      if (found.length === 0) gaps.push(`"${name}" is for a test that is not there: ${begin}`);
      for (const place of found) meant.add(place);
    }
    return [...meant].map((place): Trial => ({ ...place, saboteur }));
  });
  const doubled = saboteurs.filter(({ name }, at) => saboteurs.findIndex((one) => one.name === name) !== at);
  gaps.push(...doubled.map(({ name }) => `two saboteurs are called "${name}"`));
  for (const { suite, test } of places) {
    if (!sabotaged.some((one) => one.suite === suite && one.test === test)) {
      gaps.push(`no saboteur on ${suite} is for: ${test}`);
    }
  }
  return {
    places,
    trials: [...places.map((place) => ({ ...place, saboteur: undefined })), ...sabotaged],
    gaps,
  };
}
