/**
 * Runs the property of claims and leases (P15) in a thread of its own and says what it found.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { leaseProperty } from "../redis/proof/lease-property.ts";

const { runs, seed, url } = workerData as {
  readonly runs: number;
  readonly seed: number;
  readonly url: string;
};
let done = 0;
const onRun = (count: number): void => void (done = count);
const failure = await leaseProperty({ ...{ url, runs, seed, onRun }, shrink: false }).then(
  () => undefined,
  (error: unknown) => error instanceof Error ? error.message : String(error),
);
parentPort?.postMessage({ failure, runs: done });
