/**
 * Writes down what one node does: decorators around its broker, backend and logger, and a probe for its worker.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import type { Broker, Delivery, Outgoing } from "../broker.ts";
import type { Logger } from "../lib/logger.ts";
import type { Passing, Point, Probe } from "../worker/probe.ts";
import type { NewEntry } from "./entry.ts";
import type { History } from "./history.ts";
import { RecordedBackend } from "./recorded-backend.ts";
import { RecordedBroker } from "./recorded-broker.ts";
import { RecordedDelivery } from "./recorded-delivery.ts";

/** Says whether the worker dies with the task at this point. */
export type Fatal = (point: Point, task: string) => boolean;

type Unnamed<E> = E extends NewEntry ? Omit<E, "node"> : never;

/** One node's pen. */
export class Recorder {
  readonly history: History;
  readonly node: string;
  /** Is given what is published. */
  onPublished: ((outgoing: Outgoing) => void) | undefined;
  #muted = false;

  /** `node` is the name under which it writes. */
  constructor(history: History, node: string) {
    this.history = history;
    this.node = node;
  }

  /** From here on nothing of this node is written: it is dead, and what is left of it only thinks that it acts. */
  mute(): void {
    this.#muted = true;
  }

  add(entry: Unnamed<NewEntry>): void {
    if (!this.#muted) this.history.add({ node: this.node, ...entry } as NewEntry);
  }

  /** Writes down what a sender is told. */
  sent(task: string, sent: Promise<unknown>): void {
    void sent.then(
      () => this.add({ is: "sent", task, outcome: "sent" }),
      () => this.add({ is: "sent", task, outcome: "failed" }),
    );
  }

  /** A broker that writes down what passes through it, and otherwise is the one given. */
  broker(broker: Broker): Broker {
    return new RecordedBroker(this, broker);
  }

  /** A backend that writes down what is stored, and otherwise is the one given. */
  backend(backend: Backend): Backend {
    return new RecordedBackend(this, backend);
  }

  /** A logger that writes down which lines with a code there were. */
  logger(logger: Logger): Logger {
    return {
      log: (level, message, fields) => {
        const { code, taskId } = fields ?? {};
        if (typeof code === "string") {
          this.add({ is: "told", task: typeof taskId === "string" ? taskId : "", code });
        }
        logger.log(level, message, fields);
      },
    };
  }

  /** A probe that writes down where tasks are. `fatal` is asked at each point; by default nobody dies. */
  probe(fatal: Fatal = () => false): Probe {
    return {
      at: (point, passing) => {
        this.#passed(point, passing);
        return fatal(point, passing.message.id);
      },
      dismissed: (delivery, why) => {
        if (!(delivery instanceof RecordedDelivery)) return;
        this.add({ is: "dismissed", task: delivery.task, delivery: delivery.number, why });
      },
      abandoned: ({ delivery, message }) =>
        this.add({ is: "abandoned", task: message.id, delivery: numberOf(delivery) }),
      revoked: (ids) => {
        for (const task of ids) this.add({ is: "revoked", task, by: "worker" });
      },
    };
  }

  #passed(point: Point, { delivery, message, acksLate: late, outcome }: Passing): void {
    const of = { task: message.id, delivery: numberOf(delivery), late };
    if (point === "ended") this.add({ is: point, ...of, outcome: outcome?.is ?? "failure" });
    else if (point === "accepted" || point === "started" || point === "followed") {
      this.add({ is: point, ...of });
    }
    // The other points are seen where they take effect: at the backend, and at the delivery.
  }
}

function numberOf(delivery: Delivery): number {
  return delivery instanceof RecordedDelivery ? delivery.number : 0;
}
