/**
 * The faults of `celeriac/testing` against real servers: links through the tests' proxy, workers in processes of their own, signals.
 *
 * @module
 */
import type { Broker, Outgoing } from "../../src/broker.ts";
import { CeleriacError } from "../../src/errors.ts";
import { type Duration, toMs } from "../../src/lib/duration.ts";
import type { DropOptions, Faults, KillOptions, RestartOptions } from "../../src/testing/faults/faults.ts";
import type { History } from "../../src/testing/history.ts";
import { taskOf } from "../../src/testing/recorded-delivery.ts";
import type { AmqpWay, WayHost } from "./amqp-way.ts";
import type { Doomed } from "./doomed.ts";
import type { Proxy } from "./proxy.ts";
import type { PrivateServer } from "./servers.ts";
import { until } from "./wait.ts";

/** What there is to be struck. */
export interface RealParts {
  readonly history: History;
  /** The way to the broker, by node. */
  readonly proxies: ReadonlyMap<string, Proxy>;
  /** The same where it is a RabbitMQ: what can be done to single frames. */
  readonly ways: ReadonlyMap<string, AmqpWay>;
  /** The way to the result backend, by node. */
  readonly stores: ReadonlyMap<string, Proxy>;
  /** Workers by node. */
  readonly workers: ReadonlyMap<string, Doomed>;
  /** Sets the wall clocks of nodes that are no workers. */
  readonly clocks: ReadonlyMap<string, (ms: number) => void>;
  /** Publishes past the proxies. */
  readonly sender: Broker;
  /** What was published, by task. */
  readonly outgoing: ReadonlyMap<string, Outgoing>;
  /** A queue that takes no message: with `x-max-length` 0 and `x-overflow` "reject-publish". */
  readonly full: string;
  /** Where the server may be stopped: a private one. */
  readonly server?: PrivateServer | undefined;
}

/** How long an ack may be under way, ms: what was settled later before a loss may come again. */
const UNDER_WAY = 1000;

/**
 * The faults of real servers. Refused with "fault-unsupported" is what cannot be done to them: a killed process takes nothing back that it
 * gave to the kernel (`unsent: "lost"`, but for a late ack to a RabbitMQ, which is written with the next tick), a broker says nothing more by a link that
 * the proxy has cut (`flushed`), a server that others use is not stopped, and what is done to single frames is done to AMQP's alone.
 */
export class RealFaults implements Faults {
  readonly #parts: RealParts;

  constructor(parts: RealParts) {
    this.#parts = parts;
  }

  async cut(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      await proxy.refuse(true);
      await this.#break("cut", name, proxy);
    }
  }

  async heal(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      await proxy.refuse(false);
      this.#note("heal", name);
    }
  }

  async drop(node?: string, { flushed = false }: DropOptions = {}): Promise<void> {
    if (flushed) throw unsupported("drop, flushed");
    for (const [name, proxy] of this.#struck(node)) await this.#break("drop", name, proxy);
  }

  async loseAck(node?: string): Promise<void> {
    for (const [name, way] of this.#bent("loseAck", node)) {
      await this.#passed(name);
      way.arm("loseAck");
    }
  }

  async loseConfirm(node?: string): Promise<void> {
    for (const [, way] of this.#bent("loseConfirm", node)) way.arm("loseConfirm");
  }

  async freeze(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      proxy.blackhole("both");
      this.#note("freeze", name);
    }
  }

  async thaw(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      proxy.heal();
      this.#note("thaw", name);
    }
  }

  async refuse(node?: string, count = 1): Promise<void> {
    for (const [, way] of this.#bent("refuse", node)) way.refuse(count, this.#parts.full);
  }

  async scatterConfirms(node?: string, on = true): Promise<void> {
    for (const [name, way] of this.#bent("scatterConfirms", node)) {
      way.scatters = on;
      this.#note("scatterConfirms", name, [], on ? "" : "off");
    }
  }

  async duplicate(task?: string): Promise<void> {
    const { outgoing, sender } = this.#parts;
    const double = task === undefined ? [...outgoing.values()].at(-1) : outgoing.get(task);
    if (double === undefined) throw new CeleriacError("fault-task", "No such task was published.");
    this.#note("duplicate", "", [taskOf(double.message)]);
    await sender.publish([double]);
  }

  async restart({ dirty = false }: RestartOptions = {}): Promise<void> {
    const { proxies, server, ways } = this.#parts;
    if (server === undefined) throw unsupported("restart");
    const detail = dirty ? "dirty" : "";
    this.#note("restart", "", [...proxies.keys()].flatMap((node) => this.held(node)), detail);
    if (dirty) await server.kill9();
    else await server.halt();
    for (const way of ways.values()) way.forget();
    await server.start(120_000);
    // It takes seconds: what is to be back within some time has that from now on.
    this.#note("restart", "", [], detail);
  }

  async backendDown(node?: string): Promise<void> {
    for (const [name, proxy] of named(this.#parts.stores, node)) {
      await proxy.refuse(true);
      proxy.cut();
      this.#note("backendDown", name);
    }
  }

  async backendUp(node?: string): Promise<void> {
    for (const [name, proxy] of named(this.#parts.stores, node)) {
      await proxy.refuse(false);
      this.#note("backendUp", name);
    }
  }

  async kill(node: string, { at, after = 0, unsent = "arrives" }: KillOptions = {}): Promise<void> {
    const keepsBack = at === "afterSettle" && this.#parts.ways.size > 0;
    if (unsent === "lost" && !keepsBack) throw unsupported("kill, what was sent lost");
    for (const [name, worker] of named(this.#parts.workers, node)) {
      if (!worker.lives) continue;
      if (at !== undefined) {
        await worker.order({ kill: { at, after, unsent } });
        continue;
      }
      // By then all that it told is read.
      await worker.child.stop("SIGKILL");
      this.died(name, "");
    }
  }

  async skew(node: string, by: Duration, direction: "ahead" | "back" = "ahead"): Promise<void> {
    const ms = Math.round(toMs(by, "by")) * (direction === "ahead" ? 1 : -1);
    const { clocks, workers } = this.#parts;
    const own = clocks.get(node);
    if (own !== undefined) own(ms);
    else for (const [, worker] of named(workers, node)) await worker.order({ skew: ms });
    this.#note("skew", node, [], String(ms));
  }

  /** A worker has died, as its process told last or as its end shows. */
  died(node: string, point: string): void {
    this.#note("kill", node, this.held(node), point);
    this.#parts.history.add({ is: "worker-killed", node });
  }

  /** Who is told of what is done to the frames of a node. */
  host(node: string, chance: () => number): WayHost {
    return {
      chance,
      onTrap: (trap, held) => this.#note(trap, node, [...new Set([...held, ...this.#read(node)])]),
      onRefused: (task) => this.#note("refuse", node, [task]),
    };
  }

  /** Tasks whose messages this node holds, or may hold still: their acks may have been under way. */
  held(node: string): readonly string[] {
    return [...new Set([...this.#parts.ways.get(node)?.held() ?? [], ...this.#read(node)])];
  }

  /** What the node has told to be settled may be on its way still: a fault strikes what comes after it. */
  async #passed(node: string): Promise<void> {
    const way = this.#parts.ways.get(node);
    if (way === undefined) return;
    const underWay = (): readonly string[] => {
      const open = new Map<number, string>();
      const settled = new Set<string>();
      for (const entry of this.#parts.history.entries) {
        if (entry.node !== node) continue;
        if (entry.is === "delivered") open.set(entry.delivery, entry.task);
        else if (entry.is === "settled" && open.delete(entry.delivery)) settled.add(entry.task);
      }
      for (const task of open.values()) settled.delete(task);
      return way.held().filter((task) => settled.has(task));
    };
    await until(() => underWay().length === 0, { what: `the settlements of ${node} have passed` });
  }

  /** Those of them that the node has told of. */
  #read(node: string): readonly string[] {
    const held = new Map<number, string>();
    const { entries } = this.#parts.history;
    const now = entries.at(-1)?.at ?? 0;
    for (const entry of entries) {
      if (entry.node !== node) continue;
      if (entry.is === "delivered") held.set(entry.delivery, entry.task);
      else if (entry.is === "lost") held.delete(entry.delivery);
      else if (entry.is === "settled" && entry.at < now - UNDER_WAY) held.delete(entry.delivery);
    }
    return [...held.values()];
  }

  async #break(fault: string, node: string, proxy: Proxy): Promise<void> {
    await this.#passed(node);
    const held = this.held(node);
    proxy.cut();
    this.#parts.ways.get(node)?.forget();
    this.#note(fault, node, held);
  }

  #struck(node: string | undefined): readonly (readonly [string, Proxy])[] {
    return named(this.#parts.proxies, node);
  }

  #bent(fault: string, node: string | undefined): readonly (readonly [string, AmqpWay])[] {
    if (this.#parts.ways.size === 0) throw unsupported(fault);
    return named(this.#parts.ways, node);
  }

  #note(fault: string, node = "", touches: readonly string[] = [], detail = ""): void {
    this.#parts.history.add({
      is: "fault",
      fault,
      node,
      touches: touches.filter((task) => task !== ""),
      detail,
    });
  }
}

/** One of them, or all. */
function named<T>(all: ReadonlyMap<string, T>, node: string | undefined): readonly (readonly [string, T])[] {
  if (node === undefined) return [...all];
  const one = all.get(node);
  if (one !== undefined) return [[node, one]];
  throw new CeleriacError("fault-node", `There is no node ${JSON.stringify(node)}.`, {
    hint: `There are ${[...all.keys()].join(", ")}.`,
  });
}

function unsupported(fault: string): CeleriacError {
  return new CeleriacError("fault-unsupported", `Real servers cannot be made to do this: ${fault}.`);
}
