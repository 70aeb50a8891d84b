/**
 * The faults of `celeriac/testing` against real servers: links through the tests' proxy, workers in processes of their own, signals.
 *
 * @module
 */
import type { Broker, Outgoing } from "../../src/broker.ts";
import { CeleriacError } from "../../src/errors.ts";
import type { Faults, KillOptions, RestartOptions } from "../../src/testing/faults/faults.ts";
import type { History } from "../../src/testing/history.ts";
import { taskOf } from "../../src/testing/recorded-delivery.ts";
import type { Child } from "./child.ts";
import type { Proxy } from "./proxy.ts";
import type { RabbitServer } from "./servers.ts";

/** What there is to be struck. */
export interface RealParts {
  readonly history: History;
  /** The way to the broker, by node. */
  readonly proxies: ReadonlyMap<string, Proxy>;
  /** Workers by node; each dies with the next task at a point that it is told on its stdin. */
  readonly children: ReadonlyMap<string, Child>;
  /** Publishes past the proxies. */
  readonly sender: Broker;
  /** What was published, by task. */
  readonly outgoing: ReadonlyMap<string, Outgoing>;
  /** Where the server may be stopped: a private one. */
  readonly server?: RabbitServer;
}

/** How long an ack may be under way, ms: what was settled later before a loss may come again. */
const UNDER_WAY = 1000;

/** basic.ack, as a frame begins: type 1, class 60, method 80. */
function isAck(bytes: Uint8Array): boolean {
  return bytes.length >= 11 && bytes[0] === 1 && bytes[8] === 60 && bytes[10] === 80;
}

/** The faults of real servers. What cannot be done to them is refused with "fault-unsupported". */
export class RealFaults implements Faults {
  readonly #parts: RealParts;

  constructor(parts: RealParts) {
    this.#parts = parts;
  }

  async cut(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      await proxy.refuse(true);
      proxy.cut();
      this.#note("cut", name, this.held(name));
    }
  }

  async heal(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      await proxy.refuse(false);
      this.#note("heal", name);
    }
  }

  async drop(node?: string): Promise<void> {
    for (const [name, proxy] of this.#struck(node)) {
      proxy.cut();
      this.#note("drop", name, this.held(name));
    }
  }

  async loseAck(node?: string): Promise<void> {
    this.#trap("loseAck", "up", node);
  }

  async loseConfirm(node?: string): Promise<void> {
    this.#trap("loseConfirm", "down", node);
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

  async duplicate(task?: string): Promise<void> {
    const { outgoing, sender } = this.#parts;
    const double = task === undefined ? [...outgoing.values()].at(-1) : outgoing.get(task);
    if (double === undefined) throw new CeleriacError("fault-task", "No such task was published.");
    this.#note("duplicate", "", [taskOf(double.message)]);
    await sender.publish([double]);
  }

  async restart({ dirty = false }: RestartOptions = {}): Promise<void> {
    const { server, proxies } = this.#parts;
    if (server === undefined) return this.#cannot("restart");
    this.#note("restart", "", [...proxies.keys()].flatMap((node) => this.held(node)), dirty ? "dirty" : "");
    if (!dirty) return await server.restart();
    await server.kill9();
    await server.start();
  }

  async kill(node: string, { at, after = 0 }: KillOptions = {}): Promise<void> {
    const child = this.#parts.children.get(node);
    if (child === undefined) throw new CeleriacError("fault-node", `There is no worker ${node}.`);
    if (at === undefined) await child.stop("SIGKILL");
    else child.write(`${JSON.stringify({ at, after })}\n`);
  }

  /** A worker has died, as its process told last or as its end shows. */
  died(node: string, detail: string): void {
    this.#note("kill", node, this.held(node), detail);
    this.#parts.history.add({ is: "worker-killed", node });
  }

  refuse = (): Promise<void> => this.#cannot("refuse");
  scatterConfirms = (): Promise<void> => this.#cannot("scatterConfirms");
  backendDown = (): Promise<void> => this.#cannot("backendDown");
  backendUp = (): Promise<void> => this.#cannot("backendUp");
  skew = (): Promise<void> => this.#cannot("skew");

  /** Tasks whose messages this node holds, or may hold still: their acks may have been under way. */
  held(node: string): readonly string[] {
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

  #trap(fault: string, way: "up" | "down", node: string | undefined): void {
    for (const [name, proxy] of this.#struck(node)) {
      const before = proxy.onChunk;
      proxy.onChunk = (direction, bytes) => {
        before?.(direction, bytes);
        if (direction !== way || !isAck(bytes)) return;
        proxy.onChunk = before;
        proxy.cut();
        this.#note(fault, name, this.held(name));
      };
    }
  }

  #struck(node: string | undefined): readonly (readonly [string, Proxy])[] {
    const { proxies } = this.#parts;
    if (node === undefined) return [...proxies];
    const proxy = proxies.get(node);
    if (proxy === undefined) throw new CeleriacError("fault-node", `There is no node ${node}.`);
    return [[node, proxy]];
  }

  #cannot(fault: string): Promise<void> {
    return Promise.reject(
      new CeleriacError("fault-unsupported", `Real servers cannot be made to do this: ${fault}.`),
    );
  }

  #note(fault: string, node = "", touches: readonly string[] = [], detail = ""): void {
    this.#parts.history.add({ is: "fault", fault, node, touches, detail });
  }
}
