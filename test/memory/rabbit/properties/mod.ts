/**
 * All properties of the reducer.
 *
 * @module
 */
import { fifo } from "./p02-fifo.ts";
import { conservation } from "./p03-conservation.ts";
import { requeue } from "./p04-requeue.ts";
import { acks } from "./p05-acks.ts";
import { prefetch, singleActive } from "./p06-prefetch.ts";
import { redelivered } from "./p07-redelivered.ts";
import { ends } from "./p11-ends.ts";
import type { Property } from "./property.ts";

export const PROPERTIES: readonly Property[] = [
  fifo,
  conservation,
  requeue,
  acks,
  prefetch,
  singleActive,
  redelivered,
  ends,
];
