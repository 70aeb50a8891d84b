/**
 * A14: a task blocks the thread that answers heartbeats.
 *
 * @module
 */
import type { Duration } from "../../src/lib/duration.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { RabbitServer } from "../support/servers.ts";
import { until } from "../support/wait.ts";
import { bench } from "./bench.ts";

/** What is run. */
export interface BlockedOptions {
  readonly server: RabbitServer;
  /** How long the task blocks. */
  readonly seconds: number;
  readonly heartbeat: Duration;
}

/** What came of it. */
export interface BlockedReport {
  /** How often the task began: once, or again where RabbitMQ took its worker for dead. */
  readonly begun: number;
  /** How often the worker connected, two links each time. */
  readonly connections: number;
  /** Lines that name the task which blocked. */
  readonly told: number;
  /** When the next task had ended, after the block, ms. */
  readonly next: number;
}

/** Throws where the worker ended, said nothing, ran the next task not at all, or the task again without a flag. */
export async function blockedRun({ server, seconds, heartbeat }: BlockedOptions): Promise<BlockedReport> {
  await using rig = await bench(server, { broker: { heartbeat } });
  const redelivered: boolean[] = [];
  let freeAt = 0;
  // Sender and worker share the thread: it is blocked once the sender knows that the task is sent.
  const gate = deferred<void>();
  rig.app.task("t.spin", { bind: true, acksLate: true }, async (running) => {
    redelivered.push(running.delivery.redelivered);
    await gate.promise;
    const end = performance.now() + (running.delivery.redelivered ? 1 : 1000 * seconds);
    while (performance.now() < end);
    freeAt ||= performance.now();
    return redelivered.length;
  });
  rig.app.task("t.next", () => "ran");
  const { ended, worker } = await rig.work({ blockedLimit: "1s" });
  const spin = await rig.sender.sendTask("t.spin");
  gate.resolve();
  const line = /^warning The event loop was blocked for \d+\.\d s .*t\.spin.*\(blocked-loop\)$/;
  await until(() => rig.lines.some((said) => line.test(said)), {
    what: "a line that names it",
    deadline: 1000 * seconds + 30_000,
    seen: () => rig.lines.join("\n"),
  });
  // The sender was as silent as the worker: its link may be lost, too.
  const { id } = await rig.sender.sendTask("t.next", { retry: "unknown" });
  const value = await rig.app.result(id).get({ timeout: 60 });
  const next = performance.now() - freeAt;
  if (value !== "ran") throw new Error(`the next task came to ${JSON.stringify(value)}`);
  await rig.app.result(spin.id).get({ timeout: 60 });
  if (ended() !== undefined) throw new Error(`the worker ended: ${String(ended())}`);
  await until(() => worker.health().healthy, { what: "green health", deadline: 20_000 });
  // Whether RabbitMQ took it for dead meanwhile is its affair; then it has given the task out again, flagged.
  if (!redelivered.slice(1).every(Boolean)) throw new Error("the task ran again, and nothing said so");
  return {
    begun: redelivered.length,
    connections: rig.proxy.connections,
    told: rig.lines.filter((line) => line.endsWith("(blocked-loop)")).length,
    next,
  };
}
