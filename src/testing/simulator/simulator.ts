/**
 * The simulator: an app's client, its workers and the fake servers in one thread, on a time of their own.
 *
 * @module
 */
import type { Network } from "../../../adapters/memory/network.ts";
import { MemoryStore } from "../../../adapters/memory/store.ts";
import { MemoryWorld } from "../../../adapters/memory/world.ts";
import { CeleriacError } from "../../errors.ts";
import { eventLoop, systemPlatform } from "../../lib/platform.ts";
import type { Context } from "../../lib/port.ts";
import { Agenda } from "./agenda.ts";
import { type Course, type Driver, STILL, UNTIL_IDLE, untilInstant } from "./driver.ts";
import { endlessness, impatience, waitsOutside } from "./errors.ts";
import { type Servers, SimulatedNode, type Surroundings } from "./node.ts";
import { Rides } from "./rides.ts";
import { type Alarm, Timers } from "./timers.ts";
import { Waits } from "./waits.ts";

/** How a simulation is made. */
export interface SimulatorOptions {
  /** Chance and ids come of it: a whole number. @default 1 */
  readonly seed?: number;
  /** When it begins, ms since the epoch. @default 2026-01-01T00:00:00Z */
  readonly now?: number;
  /**
   * The schedule: the next event is `ready[pick % ready.length]`, the ready ones in the order in which they became so; past the end each
   * pick is 0, the oldest.
   */
  readonly picks?: Iterable<number>;
  /** How long the world outside is waited for, ms of real time. @default 5000 */
  readonly patience?: number;
  /** After so long, ms, it is told to `onWorry` who waits. @default never */
  readonly worry?: number;
  /** @default the system's */
  readonly context?: Context;
}

/** How a node is made. */
export interface NodeOptions {
  /** Stands between its broker and the network. */
  readonly network?: (network: Network) => Network;
}

/** 2026-01-01T00:00:00Z. */
const BEGIN = 1_767_225_600_000;

/** As many words are handed over at most before microtasks run out. */
const WIDEST = 1024;

/** Moves of time on which nothing but timers happens: after so many nothing else ever will. */
const BARREN = 100_000;

/** The world outside is looked at in each turn of the event loop for so long, ms; then once a ms. */
const KEEN = 2;

/**
 * A whole system in one thread. Nothing in it happens by itself in parallel: each due timer, each `soon` and each word on a link is an
 * event, and one event happens after the other. Which one is next is taken from `picks`, so that the schedule is data; the links keep the
 * order of their words. Time stands still while anything is ready, and moves from timer to timer where somebody drives it.
 *
 * After an event, microtasks run out and the event loop turns once, so that the next choice is made among all that follows from the last
 * one. A turn costs a microsecond or two, ten times an event: where the pick is 0, words are therefore handed over one after the other, as
 * the frames of one read are, before the loop turns. That changes no choice: what a word leads to is ready later than what is ready now,
 * and 0 is the oldest. Timers, `soon`s and all other picks find the microtasks run out.
 */
export class Simulator {
  /** The common broker server. */
  readonly world: MemoryWorld;
  /** The common store of results. */
  readonly store: MemoryStore;
  /** Who waits for the simulation to be driven somewhere. */
  readonly waits: Waits;
  /** Who waits for the world outside, each as a sentence's subject: asked when nothing is ready. */
  outsiders: () => readonly string[] = () => [];
  /** Called when nothing is ready and nobody drives. */
  onRest: (() => void) | undefined;
  /** Called where the world outside is waited for long, once for each wait, with a sentence that says who waits. */
  onWorry: ((sentence: string) => void) | undefined;
  /** Called before outsiders are given up, who may be fewer then. */
  onImpatience: (() => void) | undefined;
  readonly #agenda: Agenda;
  readonly #timers: Timers;
  readonly #context: Context;
  readonly #patience: number;
  readonly #worry: number;
  readonly #surroundings: Surroundings;
  readonly #servers: Servers;
  readonly #nodes: Map<string, SimulatedNode> = new Map<string, SimulatedNode>();
  readonly #rides: Rides = new Rides();
  #running = false;
  /** Since when nothing happens while the world outside is waited for, on the real clock. */
  #since: number | undefined;
  #worried = false;
  /** Moves of time since something else happened. */
  #barren = 0;

  constructor(options: SimulatorOptions = {}) {
    const { seed = 1, now: begin = BEGIN, picks = [], patience = 5000, worry = Infinity, context } = options;
    this.#context = context ?? systemPlatform.context;
    this.#patience = patience;
    this.#worry = worry;
    this.#agenda = new Agenda(picks);
    this.#agenda.onWork = () => this.#wake();
    this.#timers = new Timers(begin);
    this.waits = new Waits(this.#context);
    this.#surroundings = {
      agenda: this.#agenda,
      timers: this.#timers,
      context: this.#context,
      seed,
      begin,
    };
    const node = this.#add("servers");
    this.world = new MemoryWorld({ platform: node.platform });
    this.store = new MemoryStore(node.platform.clock);
    this.#servers = { node, world: this.world, store: this.store };
  }

  /** The time in it, ms since the epoch. */
  get now(): number {
    return this.#timers.now;
  }

  /** Events that happened. */
  get events(): number {
    return this.#agenda.events;
  }

  /** One number for all that happened and when: the same for the same program, seed and picks, on every runtime. */
  get hash(): string {
    return this.#agenda.hash;
  }

  /** The picks that were used, without zeros at the end: with them the same happens again. */
  get picks(): readonly number[] {
    return this.#agenda.picks;
  }

  /** Timers that wait, those that hold no process open left out. */
  get timers(): readonly Alarm[] {
    return this.#timers.waiting.filter((alarm) => alarm.works);
  }

  /** Whether somebody waits for it to come somewhere. */
  get isDriven(): boolean {
    return this.#rides.size > 0;
  }

  /** A new machine. Its chance comes of the seed and its name, which must be its own. */
  node(name: string, options: NodeOptions = {}): SimulatedNode {
    return this.#add(name, this.#servers, options.network);
  }

  /** Lets happen what is ready, and what follows from it; time stands still. */
  settle(): Promise<void> {
    return this.drive(STILL);
  }

  /** Moves time on by `ms`; all that is due on the way happens at its instant. */
  advance(ms: number): Promise<void> {
    return this.drive(untilInstant(this.now + ms));
  }

  /** Moves time to this instant, ms since the epoch. */
  advanceTo(instant: number): Promise<void> {
    return this.drive(untilInstant(instant));
  }

  /** Moves time until nothing is left to be done. */
  idle(): Promise<void> {
    return this.drive(UNTIL_IDLE);
  }

  /**
   * Resolves when the driver has arrived. Rejects with "simulation-impatient" where the world outside was waited for longer than
   * `patience`, "simulation-endless" where timers lead to nothing but timers, and with the driver's own error. `notes`: who asks is noted
   * as waiting for something inside.
   */
  async drive(driver: Driver, notes = true): Promise<void> {
    const arrival = this.#rides.begin(driver);
    this.#since = undefined;
    this.#wake();
    const end = notes ? this.waits.begin() : undefined;
    try {
      await arrival;
    } finally {
      end?.();
    }
  }

  /** Takes no more account of a driver, which has arrived by itself. */
  dismiss(driver: Driver): void {
    this.#rides.dismiss(driver);
  }

  #add(name: string, servers?: Servers, wrap?: NodeOptions["network"]): SimulatedNode {
    if (this.#nodes.has(name)) {
      throw new CeleriacError(
        "simulation-node",
        `The simulation has a node ${JSON.stringify(name)} already.`,
      );
    }
    const node = new SimulatedNode(name, this.#nodes.size, this.#surroundings, servers, wrap);
    this.#nodes.set(name, node);
    return node;
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    eventLoop.turn(this.#round);
  }

  /** One turn of the event loop; microtasks have run out. What happens here happens in no async context but its own. */
  readonly #round = (): void => this.#context.run(undefined, () => this.#go());

  #go(): void {
    for (;;) {
      this.#ring();
      if (this.#wave()) return eventLoop.turn(this.#round);
      if (this.#rides.size === 0) break;
      if (this.#looksOutside()) return;
      // Who has arrived may want something else, before time passes.
      if (this.#rides.arrive(this.#course)) return eventLoop.turn(this.#round);
      if (this.#moves()) continue;
      if (this.#rides.despair()) return eventLoop.turn(this.#round);
      break;
    }
    this.#running = false;
    this.onRest?.();
  }

  /** What is due takes its place among the ready events. */
  #ring(): void {
    for (let alarm = this.#timers.due(); alarm !== undefined; alarm = this.#timers.due()) {
      this.#nodes.get(alarm.owner)?.ring(alarm);
    }
    for (const node of this.#nodes.values()) node.tidy();
  }

  /** Lets events happen until microtasks must run out; false when none was ready. */
  #wave(): boolean {
    const agenda = this.#agenda;
    let happened = 0;
    while (happened < WIDEST && (happened === 0 || agenda.pick === 0)) {
      const lane = agenda.choose();
      if (lane === undefined || (lane.apart && happened > 0)) break;
      agenda.take(lane);
      happened++;
      if (lane.apart) break;
      this.#barren = 0;
    }
    if (happened > 0) this.#since = undefined;
    return happened > 0;
  }

  /** Waits for the world outside, where somebody needs it; false when nobody does. */
  #looksOutside(): boolean {
    const names = [...this.outsiders()];
    const outsiders = names.length;
    names.push(...this.#rides.outside());
    if (names.length === 0) {
      this.#since = undefined;
      return false;
    }
    const elapsed = eventLoop.elapsed();
    if (this.#since === undefined) this.#worried = false;
    const waited = elapsed - (this.#since ??= elapsed);
    if (!this.#worried && waited >= this.#worry) {
      this.#worried = true;
      this.onWorry?.(waitsOutside(names, this.#worry));
    }
    if (waited < this.#patience) {
      if (waited < KEEN) eventLoop.turn(this.#round);
      else eventLoop.after(1, this.#round);
      return true;
    }
    this.#since = undefined;
    this.onImpatience?.();
    const left = [...this.outsiders()];
    if (left.length > 0 || names.length > outsiders) this.#rides.fail(impatience(names, this.#patience));
    eventLoop.turn(this.#round);
    return true;
  }

  get #course(): Course {
    const { next, now, working } = this.#timers;
    return { now, next, works: working > 0 || this.world.parked > 0 };
  }

  /** Moves time to the next instant at which something happens, or where somebody wants to stop; false where nobody lets it. */
  #moves(): boolean {
    const course = this.#course;
    const stop = this.#rides.nextStop(course);
    if (stop === undefined) return false;
    if (++this.#barren > BARREN) {
      this.#rides.fail(endlessness(this.#timers.waiting, BARREN));
      return false;
    }
    this.#timers.now = Math.max(course.now, stop);
    this.#agenda.mix(stop - this.#surroundings.begin);
    return true;
  }
}
