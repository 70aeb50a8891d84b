/**
 * What can be done to a system on purpose: one list of faults, for the simulated servers and for real ones.
 *
 * @module
 */
import type { Duration } from "../../lib/duration.ts";
import type { Point } from "../../worker/probe.ts";

/** When a worker dies. */
export interface KillOptions {
  /** With the next task of it that comes to this point. @default at once */
  readonly at?: Point;
  /** How many tasks come past that point before. @default 0 */
  readonly after?: number;
  /** Whether what it had written and not sent still goes out, or dies with it. @default "arrives" */
  readonly unsent?: "arrives" | "lost";
}

/** How a broker comes down. */
export interface RestartOptions {
  /**
   * False: in order, and all that is durable stays. True: without a word. Then what was not confirmed may be gone, what a queue has settled
   * since it last stood still for 0.2 s, or took a publish that waits for its confirm, may be there again, and each message that is left says
   * that it was handed out before, whether it was or not.
   *
   * @default false
   */
  readonly dirty?: boolean;
}

/** How a link breaks. */
export interface DropOptions {
  /** Whether what the broker had said still arrives, as where it closes its end in order. @default false */
  readonly flushed?: boolean;
}

/**
 * The faults. Each resolves when it is in force, and is written into the history with the tasks that it touches. A `node` is a worker's or
 * the client's name; without one it is all of them.
 *
 * Each method throws `CeleriacError` "fault-unsupported" where the system at hand cannot do it, "fault-node" for a node that is not there.
 */
export interface Faults {
  /** Breaks the links to the broker; none comes to stand again before `heal`. Both ends are told, what was on its way is lost. */
  cut(node?: string): Promise<void>;
  /** Ends {@link Faults.cut}. */
  heal(node?: string): Promise<void>;
  /** Breaks the links to the broker once: they may be opened again at once. */
  drop(node?: string, options?: DropOptions): Promise<void>;
  /** Breaks the consuming link with the next settlement on its way: that is lost (an ack has no answer that could tell). */
  loseAck(node?: string): Promise<void>;
  /** Breaks the publishing link with the next confirm on its way: the broker has the message, and the sender never learns it. */
  loseConfirm(node?: string): Promise<void>;
  /** Nothing passes between node and broker, in either direction, and nobody is told. */
  freeze(node?: string): Promise<void>;
  /** Ends {@link Faults.freeze}: what was sent meanwhile arrives. */
  thaw(node?: string): Promise<void>;
  /** The broker refuses the next `count` publishes (a nack). @default count 1 */
  refuse(node?: string, count?: number): Promise<void>;
  /** Confirms come in any order, and several in one word, as RabbitMQ may give them; or, with false, as they were asked for. @default on true */
  scatterConfirms(node?: string, on?: boolean): Promise<void>;
  /** A message of this task is in its queue once more, as after a repeat by its sender. @default the task published last */
  duplicate(task?: string): Promise<void>;
  /** The broker stops and starts again. */
  restart(options?: RestartOptions): Promise<void>;
  /** The result backend cannot be reached. */
  backendDown(node?: string): Promise<void>;
  /** Ends {@link Faults.backendDown}. */
  backendUp(node?: string): Promise<void>;
  /** Kills a worker, now or with the next task that comes to a named point of its way. */
  kill(node: string, options?: KillOptions): Promise<void>;
  /** Sets the node's wall clock ahead of the true time, or with "back" behind it; 0 sets it right. */
  skew(node: string, by: Duration, direction?: "ahead" | "back"): Promise<void>;
}
