/**
 * What sends the tasks of a soak, all kinds in turn, through a link that breaks as the workers' do.
 *
 * @module
 */
import { CeleriacError } from "../../../src/errors.ts";
import { Celery } from "../../../mod.ts";
import type { Broker } from "../../../src/broker.ts";
import { type Proxy, startProxy } from "../../support/proxy.ts";
import type { PrivateServer } from "../../support/servers.ts";
import { pause } from "../../support/wait.ts";
import { placeOf, through } from "../../redis/setup.ts";
import type { Sent } from "./account.ts";
import { soakBroker } from "./broker.ts";
import { followerOf, type Kind, KINDS, SECOND } from "./orders.ts";

export const QUEUE = "soak";

/** Between two batches, ms, and how many tasks one has of each kind. */
const EVERY = 350;
const OF_EACH: Readonly<Record<Kind, number>> = { early: 2, late: 2, eta: 1, failing: 1, first: 1 };

/** A task runs for so long at most, ms. */
const LONGEST = 60;

/** An ETA is so far away at most, s. */
const FARTHEST = 25;

/** Batches that wait for the broker at a time. */
const WAITING = 30;

/** See the module. */
export class Feed implements AsyncDisposable {
  readonly proxy: Proxy;
  /** By id. */
  readonly sent: Map<string, Sent> = new Map();
  readonly #app: Celery;
  readonly #left: Broker;
  readonly #batches: Set<Promise<void>> = new Set();
  #number = 0;
  #over = false;
  #going: Promise<void> | undefined;

  private constructor(proxy: Proxy, app: Celery, left: Broker) {
    this.proxy = proxy;
    this.#app = app;
    this.#left = left;
  }

  static async start(kind: "rabbit" | "redis", server: PrivateServer): Promise<Feed> {
    const proxy = await startProxy(placeOf(server.url));
    const app = new Celery("feed", {
      broker: soakBroker(kind, through(server.url, proxy.port)),
      taskDefaultQueue: QUEUE,
      publishTimeout: "10s",
    });
    return new Feed(proxy, app, soakBroker(kind, server.url));
  }

  go(): void {
    this.#going = this.#go();
  }

  /** Sends no more, and has heard of all that was sent. */
  async end(): Promise<void> {
    this.#over = true;
    await this.#going;
    await Promise.all(this.#batches);
  }

  /** The ids that must run. */
  confirmed(): readonly string[] {
    return [...this.sent].filter(([, { is }]) => is === "confirmed").map(([id]) => id);
  }

  /** Messages that are ready in the queue. */
  left(): Promise<number> {
    return this.#left.count(QUEUE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#app.close();
    await this.#left.close();
    await this.proxy[Symbol.asyncDispose]();
  }

  async #go(): Promise<void> {
    while (!this.#over) {
      if (this.#batches.size < WAITING) {
        const batch = this.#batch().finally(() => this.#batches.delete(batch));
        this.#batches.add(batch);
      }
      await pause(EVERY);
    }
  }

  async #batch(): Promise<void> {
    const kinds = KINDS.flatMap((kind) => Array.from({ length: OF_EACH[kind] }, () => kind));
    const calls = kinds.map((kind) => this.#call(kind));
    const outcomes = await this.#app.sendMany(calls.map(({ call }) => call));
    outcomes.forEach((outcome, at) => {
      const { id = "", kind = "late", eta = 0 } = calls[at] ?? {};
      this.sent.set(id, {
        kind,
        eta,
        is: outcome.status === "fulfilled" ? "confirmed" : fateOf(outcome.reason),
      });
    });
  }

  #call(kind: Kind) {
    const number = this.#number++;
    const id = `${kind}-${number}`;
    const args = [(number * 7919) % LONGEST];
    const eta = kind === "eta" ? Date.now() + 1000 + (number * 104_729) % (FARTHEST * 1000) : 0;
    return {
      id,
      kind,
      eta,
      call: {
        name: `soak.${kind}`,
        args,
        taskId: id,
        ...(kind === "eta" && { eta: new Date(eta) }),
        ...(kind === "first" &&
          { link: this.#app.signature(`soak.${SECOND}`, { args, taskId: followerOf(id) }) }),
      },
    };
  }
}

function fateOf(error: unknown): Sent["is"] {
  return error instanceof CeleriacError && error.code === "publish-unknown" ? "unknown" : "not";
}
