/**
 * What SIGINT, SIGTERM and SIGQUIT do to a worker.
 *
 * @module
 */
import type { ConsoleLogger } from "../lib/console-logger.ts";
import type { Worker } from "../worker/worker.ts";
import { EXIT, type Host } from "./host.ts";

/** What of the process is needed here. */
export type SignalHost = Pick<Host, "exit" | "now" | "onSignal"> & {
  readonly stdout: Pick<Host["stdout"], "write">;
};

/** A second Ctrl-C so soon, ms, is the first one again: bunx passes on what the terminal has sent to the whole group already. */
const SAME_PRESS = 500;

/** celery/apps/worker.py: the first SIGINT and each SIGTERM warm, the second SIGINT and SIGQUIT cold. */
export function stopOnSignals(
  host: SignalHost,
  worker: Pick<Worker, "stop">,
  logger: Pick<ConsoleLogger, "flush">,
): Disposable[] {
  let interruptedAt = -Infinity;
  const say = (text: string): void => host.stdout.write(`\nworker: ${text}\n`);
  const warm = (): void => {
    say("Warm shutdown (MainProcess)");
    void worker.stop();
  };
  const cold = (): never => {
    say("Cold shutdown (MainProcess)");
    logger.flush();
    return host.exit(EXIT.failure);
  };
  return [
    host.onSignal("SIGINT", () => {
      const now = host.now();
      if (now - interruptedAt < SAME_PRESS) return;
      if (interruptedAt > -Infinity) cold();
      interruptedAt = now;
      say("Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!");
      warm();
    }),
    host.onSignal("SIGTERM", warm),
    host.onSignal("SIGQUIT", cold),
  ];
}
