/**
 * All saboteurs.
 *
 * @module
 */
import type { Saboteur } from "./saboteur.ts";
import { CONSUME } from "./saboteurs/consume.ts";
import { DECLARE } from "./saboteurs/declare.ts";
import { LIFE } from "./saboteurs/life.ts";
import { PUBLISH } from "./saboteurs/publish.ts";
import { RESULTS } from "./saboteurs/results.ts";
import { LOST, SETTLE } from "./saboteurs/settle.ts";
import { SOURCES } from "./saboteurs/sources.ts";
import { SUBSCRIBE } from "./saboteurs/subscribe.ts";

export const SABOTEURS: readonly Saboteur[] = [
  ...LIFE,
  ...DECLARE,
  ...PUBLISH,
  ...CONSUME,
  ...SETTLE,
  ...LOST,
  ...SUBSCRIBE,
  ...RESULTS,
  ...SOURCES,
];
