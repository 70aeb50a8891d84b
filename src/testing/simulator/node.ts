/**
 * One machine of a simulation: its own clock, chance, ids and facts, and its own way to the servers.
 *
 * @module
 */
import { memoryBroker } from "../../../adapters/memory/broker.ts";
import type { Lines, LinkEnds, Network } from "../../../adapters/memory/network.ts";
import type { MemoryStore } from "../../../adapters/memory/store.ts";
import type { MemoryWorld } from "../../../adapters/memory/world.ts";
import type { Broker } from "../../broker.ts";
import { basePlatform } from "../../lib/platform.ts";
import type { Clock, Context, HostFacts, Ids, Platform, Random, Timer } from "../../lib/port.ts";
import type { Agenda, Gate } from "./agenda.ts";
import { type Arrival, NodeBackend } from "./backend.ts";
import { Lane } from "./lane.ts";
import { Prng } from "./prng.ts";
import type { Alarm, Timers } from "./timers.ts";
import { noted, type PostOffice, Waits } from "./waits.ts";

/** What all nodes of a simulation share. */
export interface Surroundings {
  readonly agenda: Agenda;
  readonly timers: Timers;
  readonly context: Context;
  readonly seed: number;
  /** When the simulation began, ms since the epoch. */
  readonly begin: number;
}

/** Where the links of a node lead. */
export interface Servers {
  readonly node: SimulatedNode;
  readonly world: MemoryWorld;
  readonly store: MemoryStore;
}

/** What can be cut off from a node. */
export type Service = "broker" | "backend";

const OFF: Timer = { cancel() {} };

interface Soon {
  readonly scope: unknown;
  readonly callback: () => void;
}

/** A machine: the client, a worker, or the servers. */
export class SimulatedNode {
  /** Its name among the nodes, and its host's name. */
  readonly name: string;
  /** Its clock, chance, ids and facts; the async context is the real one. */
  readonly platform: Platform;
  /** @internal Shuts what may not happen to it now. */
  readonly gate: Gate;
  /** @internal Who waits here for something inside. */
  readonly waits: Waits;
  /** @internal Sees what it publishes. */
  office: PostOffice | undefined;
  readonly #world: Surroundings;
  readonly #servers: Servers | undefined;
  readonly #wrap: (network: Network) => Network;
  readonly #soons: Lane<Soon>;
  readonly #alarms: Lane<Alarm>;
  readonly #links: Map<Lines, LinkEnds> = new Map<Lines, LinkEnds>();
  /** Its lines to the common store, up and down. */
  #lines: { readonly up: Lane<Arrival>; readonly down: Lane<Arrival> } | undefined;
  #broker: Broker | undefined;
  #backend: NodeBackend | undefined;
  #alive = true;
  #skew = 0;
  readonly #stalled: Map<Service, number> = new Map<Service, number>();

  /** @internal Made by the simulator; `servers` is undefined for the servers themselves. */
  constructor(
    name: string,
    number: number,
    world: Surroundings,
    servers?: Servers,
    wrap: (network: Network) => Network = (network) => network,
  ) {
    this.name = name;
    this.#wrap = wrap;
    this.#world = world;
    this.#servers = servers;
    this.waits = new Waits(world.context);
    const { agenda, timers } = world;
    this.gate = { shuts: (lane) => this.#soons.size > 0 && lane !== this.#soons };
    this.#soons = new Lane<Soon>(agenda, this.gate, (soon) => this.#run(soon), true);
    this.#alarms = new Lane<Alarm>(agenda, this.gate, (alarm) => alarm.fire(), true);
    const prng = new Prng(world.seed, name);
    // What is drawn is a part of what happened.
    const random: Random = {
      next: () => {
        const drawn = prng.next();
        agenda.mix(drawn * 2 ** 32);
        return drawn;
      },
    };
    const ids: Ids = {
      uuid: () => {
        agenda.mix(prng.word());
        return prng.uuid();
      },
    };
    const host: HostFacts = {
      runtime: basePlatform.host.runtime,
      version: "0",
      hostname: name,
      pid: 1000 + number,
    };
    const clock: Clock = {
      now: () => Math.floor(timers.now) + this.#skew,
      elapsed: () => timers.now - world.begin,
      soon: (callback) => {
        if (this.#alive) this.#soons.send({ scope: world.context.current(), callback });
      },
      after: (ms, callback, { keepAlive = true } = {}) => this.#after(ms, callback, keepAlive),
    };
    this.platform = { clock, random, ids, context: world.context, host };
  }

  /** False once it was killed. */
  get alive(): boolean {
    return this.#alive;
  }

  /** How far its wall clock is off, ms. */
  get skewed(): number {
    return this.#skew;
  }

  /** Its links to the broker that stand. */
  get links(): number {
    return this.#links.size;
  }

  /** Its own broker object, whose links lead to the common server. */
  get broker(): Broker {
    return this.#broker ??= noted(
      memoryBroker({
        world: this.#beyond.world,
        platform: this.platform,
        network: this.#wrap(this.#network()),
      }),
      this.waits,
      () => this.office,
    );
  }

  /** Its own backend object, which reads and writes the common store. */
  get backend(): NodeBackend {
    if (this.#backend !== undefined) return this.#backend;
    const { agenda } = this.#world;
    const { node, store } = this.#beyond;
    const arrive = (happen: Arrival): void => happen();
    const up = new Lane<Arrival>(agenda, this.#between(node, "backend"), arrive);
    const down = new Lane<Arrival>(agenda, this.#between(this, "backend"), arrive);
    this.#lines = { up, down };
    const { platform: { clock }, waits } = this;
    return this.#backend = new NodeBackend({ clock, store, waits, up, down });
  }

  /** Sets its wall clock off by `ms`, which may be negative. Timers and durations are not touched. */
  skew(ms: number): void {
    this.#skew = ms;
  }

  /**
   * Kills it: no timer and no `soon` of it fires again, nothing comes to it any more, and what it waits for never resolves. The servers
   * learn it behind what it had sent; with `unsent: "lost"` that is lost. Code of it that is under way goes on to its next wait, unheard.
   */
  kill(options: { readonly unsent?: "arrives" | "lost" } = {}): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#soons.shut();
    this.#alarms.shut();
    this.#world.timers.drop(this.name);
    const loses = options.unsent === "lost";
    for (const [lines, ends] of [...this.#links]) {
      if (loses) lines.up.clear();
      ends.vanish();
    }
    if (loses) this.#lines?.up.clear();
    this.#lines?.up.seal();
    this.#lines?.down.shut();
  }

  /** Breaks its links to the broker: what is on its way is lost, both ends are told, and what is opened anew stands. */
  cut(): void {
    for (const ends of [...this.#links.values()]) ends.cut();
  }

  /** From now on nothing passes between it and `service`, in either direction, and nobody is told. @default both */
  stall(service?: Service): void {
    for (const one of services(service)) {
      if (!this.#stalled.has(one)) this.#stalled.set(one, this.platform.clock.now());
    }
  }

  /** Ends {@link SimulatedNode.stall}: what was sent meanwhile arrives. */
  heal(service?: Service): void {
    for (const one of services(service)) this.#stalled.delete(one);
    this.#world.agenda.recheck();
  }

  /** The instant by its own clock since when nothing passes; undefined while something does. */
  stalledAt(service: Service): number | undefined {
    return this.#stalled.get(service);
  }

  /** @internal What is due now waits for its turn. */
  ring(alarm: Alarm): void {
    this.#alarms.send(alarm);
  }

  /** @internal Drops what was called off while it waited for its turn. */
  tidy(): void {
    while (this.#alarms.peek()?.isOff === true) this.#alarms.shift();
  }

  get #beyond(): Servers {
    if (this.#servers !== undefined) return this.#servers;
    throw new TypeError("The servers have no servers of their own.");
  }

  /** What arrives at `end` comes through unless the way is stalled, or `end` itself has something to do first. */
  #between(end: SimulatedNode, service: Service): Gate {
    return { shuts: (lane) => this.#stalled.has(service) || end.gate.shuts(lane) };
  }

  #network(): Network {
    const { agenda } = this.#world;
    const links = this.#links;
    const stalledAt = (): number | undefined => this.stalledAt("broker");
    return {
      get stalledAt() {
        return stalledAt();
      },
      open: (ends) => {
        const up = new Lane(agenda, this.#between(this.#beyond.node, "broker"), ends.up);
        const down = new Lane(agenda, this.#between(this, "broker"), ends.down);
        const lines: Lines = { up, down };
        if (this.#alive) links.set(lines, ends);
        else for (const lane of [up, down]) lane.shut();
        return lines;
      },
      shut(lines) {
        links.delete(lines);
        (lines.down as Lane<never>).shut();
        (lines.up as Lane<never>).seal();
      },
    };
  }

  #after(ms: number, callback: () => void, works: boolean): Timer {
    if (!this.#alive) return OFF;
    const { context, timers } = this.#world;
    const scope = context.current();
    const run = scope === undefined ? callback : (): void => context.run(scope, callback);
    return timers.set(this.name, ms, works, run);
  }

  #run({ scope, callback }: Soon): void {
    if (scope === undefined) callback();
    else this.#world.context.run(scope, callback);
  }
}

function services(service: Service | undefined): readonly Service[] {
  return service === undefined ? ["broker", "backend"] : [service];
}
