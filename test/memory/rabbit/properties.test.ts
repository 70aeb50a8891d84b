/**
 * The properties of the reducer (P02-P07, P11); `npm run test:long -- rabbit-properties` runs many more of each.
 *
 * @module
 */
import { expect, inject, test } from "vitest";
import { PROPERTIES } from "./properties/mod.ts";
import { check, coverageOf } from "./properties/property.ts";

/** The reducer is the same on every runtime: one of them looks at it at length. */
const RUNS = inject("runtime") === "node" ? 1000 : 200;

test.each(PROPERTIES.map((property) => [property.name, property.statement, property] as const))(
  "%s: %s",
  (_name, _statement, property) => {
    const cover = coverageOf(property);
    check(property, cover, { runs: RUNS });
    console.log(String(cover));
    expect(cover.missing).toEqual([]);
  },
  120_000,
);
