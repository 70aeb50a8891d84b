/**
 * What SIGINT, SIGTERM and SIGQUIT do to a worker.
 *
 * @module
 */
import type { ConsoleLogger } from "../lib/console-logger.ts";
import type { Worker } from "../worker/worker.ts";
import { EXIT, type Host } from "./host.ts";

/** What of the process is needed here. */
export type SignalHost = Pick<Host, "env" | "exit" | "now" | "onSignal"> & {
  readonly stdout: Pick<Host["stdout"], "write">;
};

/** Listens until it is disposed of. */
export interface SignalWatch extends Disposable {
  /** What the process ends with once the worker has stopped: a failure after a cold shutdown. */
  readonly code: number;
}

/** A second Ctrl-C so soon, ms, is the first one again: bunx passes on what the terminal has sent to the whole group already. */
const SAME_PRESS = 500;

/** How far it has come: each signal may lead on, none leads back. */
type Stage = "runs" | "warm" | "soft" | "cold";

/**
 * celery/apps/worker.py: the first SIGINT and each SIGTERM are warm; the second SIGINT and SIGQUIT are cold, after the soft shutdown where
 * there is one; the next one cuts that short, and one more ends the process at once. `REMAP_SIGTERM=SIGQUIT` has SIGTERM do as SIGQUIT.
 */
export function stopOnSignals(
  host: SignalHost,
  worker: Pick<Worker, "stop">,
  logger: Pick<ConsoleLogger, "flush">,
  isSoft: () => boolean,
): SignalWatch {
  let stage: Stage = "runs";
  let interruptedAt = -Infinity;
  const say = (text: string): void => host.stdout.write(`\n${text}\n`);
  const warm = (): void => {
    if (stage === "runs") stage = "warm";
    say("worker: Warm shutdown (MainProcess)");
    // A worker that goes on cold already is not softened by it.
    void worker.stop();
  };
  const harder = (): void => {
    if (stage === "cold") {
      logger.flush();
      return host.exit(EXIT.failure);
    }
    if (stage === "soft") {
      stage = "cold";
      say("Waiting gracefully for cold shutdown to complete...");
      return void worker.stop({ how: "cold" });
    }
    say("worker: Hitting Ctrl+C again will terminate all running tasks!");
    say("worker: Cold shutdown (MainProcess)");
    stage = isSoft() ? "soft" : "cold";
    void worker.stop({ how: "soft" });
  };
  const interrupt = (): void => {
    const now = host.now();
    const [first, same] = [interruptedAt === -Infinity, now - interruptedAt < SAME_PRESS];
    if (same) return;
    interruptedAt = now;
    if (!first || stage === "soft" || stage === "cold") return harder();
    say("worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!");
    warm();
  };
  const watches = [
    host.onSignal("SIGINT", interrupt),
    host.onSignal("SIGTERM", host.env["REMAP_SIGTERM"] === "SIGQUIT" ? harder : warm),
    host.onSignal("SIGQUIT", harder),
  ];
  return {
    get code() {
      return stage === "soft" || stage === "cold" ? EXIT.failure : EXIT.ok;
    },
    [Symbol.dispose]: () => {
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}
