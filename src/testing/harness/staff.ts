/**
 * One worker of a harness: a real worker, on a node of its own.
 *
 * @module
 */
import type { Celery } from "../../app/app.ts";
import { type AppInner, innerOf } from "../../app/inner.ts";
import { AppCore } from "../../app/core.ts";
import type { Entity } from "../../broker.ts";
import { silentLogger } from "../../lib/logger.ts";
import type { CallOptions } from "../../result/sender.ts";
import type { Member } from "../faults/member.ts";
import type { Recorder } from "../recorder.ts";
import type { SimulatedNode } from "../simulator/node.ts";
import type { ChoosyLogger } from "../../worker/guarded.ts";
import { type Probe, withProbe } from "../../worker/probe.ts";
import type { TaskInHand } from "../../worker/state.ts";
import { Worker, type WorkerOptions } from "../../worker/worker.ts";

const UNSEEN: Probe = { at: () => false, dismissed: () => {} };

/** What a worker of a harness is made of. */
export interface StaffParts {
  /** Whether a task on a node waits for something inside. */
  readonly isInside: (node: SimulatedNode, id: string) => boolean;
  readonly node: SimulatedNode;
  /** The fork on that node. */
  readonly app: Celery;
  readonly options: WorkerOptions;
  /** Writes down what it does, and lets it fail; undefined where nothing is kept. */
  readonly member: Member | undefined;
}

/** A worker, and how it fares. */
export class Staff {
  readonly node: SimulatedNode;
  readonly app: Celery;
  readonly worker: Worker;
  /** Whether messages of all its queues would come. */
  ready = false;
  /** Whether its run has ended. */
  ended = false;
  /** Why it ended, where that was not asked for. */
  failure: unknown;
  readonly #isInside: StaffParts["isInside"];
  readonly #member: Member | undefined;
  /** Bodies that are being read: that takes turns of the real event loop. */
  #reading = 0;
  /** Tasks whose limits time would bring. */
  readonly #limited = new Set<string>();
  /** Those that nobody waits for in real time any more. */
  readonly #left = new Set<string>();

  constructor({ isInside, node, app, options, member }: StaffParts) {
    this.#isInside = isInside;
    this.#member = member;
    this.node = node;
    this.app = app;
    const logger = watched(options.logger ?? innerOf(app).logger, (line) => {
      // Celery's own line, and its last word on the start.
      if (line !== `${this.worker.hostname} ready.`) return;
      this.ready = true;
      this.#recorder?.add({ is: "worker-started" });
    });
    // Time stands still while a task computes: nothing to watch for, and a timer that looks twice a second makes long waits long.
    this.worker = new Worker(app, withProbe({ blockedLimit: null, ...options, logger }, this.#probe));
  }

  /** Whether it runs. */
  get lives(): boolean {
    return this.node.alive && !this.ended;
  }

  /** Begins to run, in no async context: what starts it is no part of its tasks. */
  start(): void {
    const { context } = this.node.platform;
    context.run(undefined, () => {
      this.worker.run().catch((error: unknown) => this.failure = error).finally(() => {
        this.ended = true;
        this.#recorder?.add({ is: "worker-stopped" });
      });
    });
  }

  get #recorder(): Recorder | undefined {
    return this.#member?.recorder;
  }

  get #probe(): Probe {
    return {
      ...this.#member?.probe ?? UNSEEN,
      reading: (read) => {
        this.#reading++;
        void read.finally(() => this.#reading--);
      },
      limited: (id, isLimited) => {
        if (isLimited) this.#limited.add(id);
        else this.#limited.delete(id);
        // It begins, or has just been asked to end: what it does now may take its real time again.
        this.#left.delete(id);
      },
    };
  }

  /** Who of it waits for the world outside, each as a sentence's subject. */
  get outsiders(): readonly string[] {
    if (!this.lives) return [];
    if (!this.ready) return [`The start of ${this.node.name}`];
    if (this.#reading > 0) return [`A compressed message on ${this.node.name}`];
    if (this.worker.pool.busy === 0) return [];
    return this.#waiting.filter(({ id }) => !this.#left.has(id)).map(({ id, name }) =>
      `Task ${name}[${id}] on ${this.node.name}`
    );
  }

  /** Patience is at its end: what has a time limit is left to it. */
  leave(): void {
    for (const { id } of this.#waiting) if (this.#limited.has(id)) this.#left.add(id);
  }

  /** Tasks that wait for nothing inside. */
  get #waiting(): readonly TaskInHand[] {
    return this.worker.snapshot().active.filter(({ id }) => !this.#isInside(this.node, id));
  }
}

/** The same logger, heard. A line that it does not heed is not made for us either. */
function watched(logger: ChoosyLogger, onLine: (line: string) => void): ChoosyLogger {
  return {
    enabled: (level) => logger !== silentLogger && logger.enabled?.(level) !== false,
    log(level, message, fields) {
      if (level === "info") onLine(message);
      logger.log(level, message, fields);
    },
  };
}

/** The queues of the app, and those that its tasks and their routes name: what a harness sends is to run there. */
export function queuesOf(app: AppInner): readonly string[] {
  const queues = new Set(app.defaultQueues());
  if (!(app instanceof AppCore)) return [...queues];
  for (const { name, defaults = {} } of app.registry.tasks.values()) {
    for (const entity of entitiesOf(app, name, defaults)) {
      if (entity.kind === "queue") queues.add(entity.name);
    }
  }
  return [...queues];
}

/** A function that routes may want arguments that nobody has given yet. */
function entitiesOf(app: AppCore, name: string, options: CallOptions): readonly Entity[] {
  try {
    return app.router.route({ name, args: [], kwargs: {}, options }, app.tasks.get(name)).entities;
  } catch {
    return [];
  }
}
