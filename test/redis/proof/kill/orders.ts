/**
 * What a process of workers is told.
 *
 * @module
 */
import type { Duration } from "../../../../src/lib/duration.ts";
import type { Point } from "../../../../src/worker/probe.ts";

/** See the module. Times as the broker's options take them. */
export interface Orders {
  readonly broker: string;
  readonly backend: string;
  readonly queue: string;
  /** Workers in the process, each with a consumer of its own. */
  readonly workers: number;
  readonly concurrency: number;
  readonly consumerTimeout: Duration;
  readonly visibilityTimeout: Duration;
  /** The file descriptor of its record. */
  readonly log: number;
  /** It kills itself when tasks have come to this point so often. */
  readonly dies?: { readonly point: Point; readonly nth: number };
}
