/**
 * The faults of a simulation.
 *
 * @module
 */
import type { Outgoing } from "../../broker.ts";
import { CeleriacError } from "../../errors.ts";
import { type Duration, toMs } from "../../lib/duration.ts";
import type { Random } from "../../lib/port.ts";
import type { History } from "../history.ts";
import { taskOf } from "../recorded-delivery.ts";
import type { Simulator } from "../simulator/simulator.ts";
import type { DropOptions, Faults, KillOptions, RestartOptions } from "./faults.ts";
import { Member } from "./member.ts";
import { Wire } from "./wire.ts";

/** How many published messages are remembered for a duplicate. */
const REMEMBERED = 1000;

/** A simulation's nodes, and what can be done to them. */
export class SimulatedFaults implements Faults {
  readonly #simulator: Simulator;
  readonly #history: History;
  readonly #members: Map<string, Member> = new Map<string, Member>();
  /** What was published, by task, the latest last. */
  readonly #outgoing: Map<string, Outgoing> = new Map<string, Outgoing>();
  #operator: Member | undefined;
  #chance: Random | undefined;

  constructor(simulator: Simulator, history: History) {
    this.#simulator = simulator;
    this.#history = history;
    simulator.world.remember();
  }

  /** A new node of the simulation, within reach of the faults. */
  member(name: string): Member {
    const member = this.#make(name);
    this.#members.set(name, member);
    member.recorder.onPublished = (outgoing) => this.#remember(outgoing);
    return member;
  }

  async cut(node?: string): Promise<void> {
    this.#sever("cut", node, (member) => member.wire.sever());
  }

  async heal(node?: string): Promise<void> {
    for (const { wire } of this.#named(node)) wire.mend();
    this.#note("heal", node);
  }

  async drop(node?: string, options: DropOptions = {}): Promise<void> {
    this.#sever("drop", node, () => {}, options);
  }

  async loseAck(node?: string): Promise<void> {
    for (const { wire } of this.#reached(node)) wire.arm("loseAck");
  }

  async loseConfirm(node?: string): Promise<void> {
    for (const { wire } of this.#reached(node)) wire.arm("loseConfirm");
  }

  /** The link breaks right behind the next message that comes by it, which may be read before that is known, or after. */
  async loseDelivery(node?: string): Promise<void> {
    for (const { wire } of this.#reached(node)) wire.arm("loseDelivery");
  }

  async freeze(node?: string): Promise<void> {
    for (const member of this.#reached(node)) member.node.stall("broker");
    this.#note("freeze", node);
  }

  async thaw(node?: string): Promise<void> {
    for (const member of this.#named(node)) member.node.heal("broker");
    this.#note("thaw", node);
  }

  async refuse(node?: string, count = 1): Promise<void> {
    for (const { wire } of this.#reached(node)) wire.refuse(count);
  }

  async scatterConfirms(node?: string, on = true): Promise<void> {
    for (const { wire } of this.#reached(node)) wire.scatters = on;
    this.#note("scatterConfirms", node, [], on ? "" : "off");
  }

  async duplicate(task?: string): Promise<void> {
    const outgoing = task === undefined ? [...this.#outgoing.values()].at(-1) : this.#outgoing.get(task);
    if (outgoing === undefined) {
      const what = task === undefined ? "No task" : `Task ${task}`;
      throw new CeleriacError("fault-task", `${what} was published, or too long ago.`);
    }
    this.#note("duplicate", undefined, [taskOf(outgoing.message)]);
    this.#operator ??= this.#make("operator");
    await this.#operator.node.broker.publish([{ ...outgoing, mustRoute: false }]);
  }

  async restart({ dirty = false }: RestartOptions = {}): Promise<void> {
    const members = this.#reached(undefined);
    const { world } = this.#simulator;
    // A worker that was just killed may not have been heard of by the broker.
    const touched = world.unsettled(this.#named(undefined).flatMap(({ wire }) => [...wire.connections]));
    if (!dirty) {
      this.#note("restart", undefined, touched.map(taskOf));
      world.restart();
      return;
    }
    this.#chance ??= (this.#operator ??= this.#make("operator")).platform.random;
    const chance = this.#chance;
    const doubtful = members.flatMap(({ wire }) => [...wire.unconfirmed]);
    const lost = new Set(doubtful.filter(() => chance.next() < 0.5));
    // What a queue heard last it writes down last; no queue waits for another one.
    const unwritten = new Map<string, number>();
    for (const [queue, settled] of world.unwritten()) {
      const count = Math.floor(chance.next() * (settled.length + 1));
      unwritten.set(queue, count);
      touched.push(...settled.slice(settled.length - count));
    }
    this.#note("restart", undefined, touched.map(taskOf), "dirty");
    world.crash({ lost, unwritten });
  }

  async backendDown(node?: string): Promise<void> {
    for (const { switched } of this.#reached(node)) switched.down = true;
    this.#note("backendDown", node);
  }

  async backendUp(node?: string): Promise<void> {
    for (const { switched } of this.#reached(node)) switched.down = false;
    this.#note("backendUp", node);
  }

  async kill(node: string, { at, after = 0, unsent = "arrives" }: KillOptions = {}): Promise<void> {
    for (const member of this.#reached(node)) {
      if (at === undefined) this.#kill(member, unsent, "");
      else member.doom({ at, left: after, die: () => this.#kill(member, unsent, at) });
    }
  }

  async skew(node: string, by: Duration, direction: "ahead" | "back" = "ahead"): Promise<void> {
    const ms = Math.round(toMs(by, "by")) * (direction === "ahead" ? 1 : -1);
    for (const member of this.#reached(node)) member.node.skew(ms);
    this.#note("skew", node, [], String(ms));
  }

  #kill(member: Member, unsent: "arrives" | "lost", at: string): void {
    if (!member.node.alive) return;
    this.#note("kill", member.name, [], at);
    this.#history.add({ is: "worker-killed", node: member.name });
    member.recorder.mute();
    member.cause = "kill";
    member.node.kill({ unsent });
  }

  #sever(
    fault: string,
    node: string | undefined,
    hold: (member: Member) => void,
    options: DropOptions = {},
  ): void {
    const members = this.#reached(node);
    this.#note(fault, node);
    for (const member of members) {
      // What one link held may be handed to the next one before that breaks too: each tells for itself.
      member.cause = fault;
      hold(member);
      member.wire.cut(options);
      member.cause = undefined;
    }
  }

  #make(name: string): Member {
    let made: Member | undefined;
    const node = this.#simulator.node(name, {
      network: (inner) => {
        wire = new Wire(inner, {
          now: () => this.#simulator.now,
          later: (callback) => void node.platform.clock.after(0, callback, { keepAlive: false }),
          chance: () => node.platform.random.next(),
          onDrop: (connection) => made !== undefined && this.#dropped(made, connection),
          onTrap: (trap) => {
            this.#note(trap, name);
            if (made !== undefined) made.cause = trap;
          },
          onRefused: (message) => this.#note("refuse", name, [taskOf(message)]),
        });
        return wire;
      },
    });
    let wire: Wire | undefined;
    void node.broker;
    made = new Member(node, wire as unknown as Wire, this.#history);
    return made;
  }

  /** Its messages go back to their queues: those that it held when it died, or when its link was cut. */
  #dropped(member: Member, connection: number): void {
    const { cause } = member;
    if (cause === undefined) return;
    const touches = this.#simulator.world.unsettled([connection]).map(taskOf);
    if (touches.length > 0) this.#note(cause, member.name, touches, "held");
    if (/^lose/.test(cause)) member.cause = undefined;
  }

  /** Those that are alive. */
  #reached(node: string | undefined): readonly Member[] {
    return this.#named(node).filter((member) => member.node.alive);
  }

  /** The dead among them, whose words may still be on their way. */
  #named(node: string | undefined): readonly Member[] {
    if (node === undefined) return [...this.#members.values()];
    const member = this.#members.get(node);
    if (member !== undefined) return [member];
    throw new CeleriacError("fault-node", `There is no node ${JSON.stringify(node)}.`, {
      hint: `There are ${[...this.#members.keys()].join(", ")}.`,
    });
  }

  #note(fault: string, node = "", touches: readonly string[] = [], detail = ""): void {
    this.#history.add({ is: "fault", fault, node, touches: touches.filter((task) => task !== ""), detail });
  }

  #remember(outgoing: Outgoing): void {
    const task = taskOf(outgoing.message);
    this.#outgoing.delete(task);
    this.#outgoing.set(task, outgoing);
    if (this.#outgoing.size <= REMEMBERED) return;
    const [oldest] = this.#outgoing.keys();
    if (oldest !== undefined) this.#outgoing.delete(oldest);
  }
}
