/**
 * Runs the simulation in a thread of its own and says what it found.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { simulate } from "../simulation/simulate.ts";

const { runs, seed } = workerData as { readonly runs: number; readonly seed: number };
const { coverage, failure } = await simulate({ runs, seed, shrink: false });
parentPort?.postMessage({ failure, runs: coverage.runs });
