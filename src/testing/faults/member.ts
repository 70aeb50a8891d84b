/**
 * One node of a simulation with all that faults hang on: its way to the broker, its backend's switch, its pen.
 *
 * @module
 */
import type { Backend } from "../../backend.ts";
import type { Broker } from "../../broker.ts";
import type { Logger } from "../../lib/logger.ts";
import type { Platform } from "../../lib/port.ts";
import type { Point, Probe } from "../../worker/probe.ts";
import type { History } from "../history.ts";
import { Recorder } from "../recorder.ts";
import type { SimulatedNode } from "../simulator/node.ts";
import { SwitchedBackend } from "./switch.ts";
import type { Wire } from "./wire.ts";

/** Where a worker is to die. */
export interface Death {
  readonly at: Point;
  /** How many tasks come past it before. */
  left: number;
  die(): void;
}

/** A node, and what it is given in place of its own adapters. */
export class Member {
  readonly node: SimulatedNode;
  readonly wire: Wire;
  readonly recorder: Recorder;
  readonly switched: SwitchedBackend;
  readonly broker: Broker;
  readonly backend: Backend;
  /** What has last been done to its links: under this name the tasks are written down that go back with them. */
  cause: string | undefined;
  readonly #deaths: Set<Death> = new Set<Death>();

  constructor(node: SimulatedNode, wire: Wire, history: History) {
    this.node = node;
    this.wire = wire;
    this.recorder = new Recorder(history, node.name);
    this.switched = new SwitchedBackend(node.backend);
    this.broker = this.recorder.broker(node.broker);
    this.backend = this.recorder.backend(this.switched);
  }

  get name(): string {
    return this.node.name;
  }

  get platform(): Platform {
    return this.node.platform;
  }

  /** A logger for its app, whose coded lines are written down. */
  logger(logger: Logger): Logger {
    return this.recorder.logger(logger);
  }

  /** For its worker: writes down where tasks are, and lets the worker die where it is to die. */
  get probe(): Probe {
    return this.recorder.probe((point) => this.#dies(point));
  }

  /** It is to die there. */
  doom(death: Death): void {
    this.#deaths.add(death);
  }

  #dies(point: Point): boolean {
    for (const death of this.#deaths) {
      if (death.at !== point || death.left-- > 0) continue;
      this.#deaths.delete(death);
      death.die();
      return true;
    }
    return !this.node.alive;
  }
}
