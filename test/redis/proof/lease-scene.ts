/**
 * What all take part in who act in a run: the server, the model of it, and what was done and found.
 *
 * @module
 */
import type { Redis } from "ioredis";
import type { Commands } from "../../../adapters/redis/client.ts";
import type { Subject } from "../../../adapters/redis/fault.ts";
import type { LeaseKeys } from "../../../adapters/redis/lease/keys.ts";
import type { Broker } from "../../../src/broker.ts";
import type { Coverage } from "../../support/coverage.ts";
import type { Python } from "../../support/python.ts";
import { Model, ownerOf } from "./model.ts";
import { describeWorld, type World, WorldReader } from "./world.ts";

/** What consumers of ours are told, ms: so long that the time that really goes by is nothing beside it. */
export const TIMES = { visibilityTimeout: 2_000_000, consumerTimeout: 1_000_000 };

export const QUEUES = ["q0", "q1"] as const;
/** Leads to the first queue. */
export const ROUTE = { exchange: "ex", routingKey: "key" } as const;

/** What a run stands on. */
export interface RunParts {
  readonly redis: Redis;
  /** Its URL, for kombu. */
  readonly url: string;
  readonly broker: Broker;
  readonly commands: Commands;
  readonly keys: LeaseKeys;
  readonly subject: Subject;
  readonly cover: Coverage;
  /** Where kombu takes part. */
  readonly python?: Python;
}

/** See the module. What finds something wrong throws. */
export class Scene {
  readonly parts: RunParts;
  readonly model: Model;
  readonly reader: WorldReader;
  /** Every consumer of ours that ever was. */
  readonly ids: string[] = [];
  /** Tags that consumers were told of. */
  readonly given: Set<string> = new Set();
  /** What was done. */
  readonly log: string[] = [];
  /** What was found wrong first: a consumer makes its own error of what is thrown under its commands. */
  failure: Error | undefined;
  now = 1_800_000_000_000;
  /** Messages that somebody has in hand, and the server nowhere. */
  inHand: () => ReadonlySet<number> = () => new Set();
  readonly #classes: ReadonlySet<string>;
  #names = 0;

  constructor(parts: RunParts) {
    this.parts = parts;
    this.#classes = new Set(Object.keys(parts.cover.toJSON()));
    this.model = new Model(QUEUES, parts.keys);
    this.reader = new WorldReader(parts.redis, QUEUES, parts.keys);
  }

  /** A name that nobody had. */
  name(kind: string): string {
    return `${kind}${this.#names++}`;
  }

  /** Where a message goes, and how urgent it is. */
  address(a: number, b: number) {
    const priority = [0, 0, 0, 4, 9][b % 5] ?? 0;
    const queue = QUEUES[a % 2] ?? QUEUES[0];
    const route = a % 5 === 0 && queue === QUEUES[0] ? ROUTE : { exchange: "", routingKey: queue };
    this.note("a message that is not urgent", priority > 0);
    return { to: { ...route, queue, priority }, priority };
  }

  /** The server has what the model has. */
  async check(line: string, world?: World): Promise<void> {
    this.say(line);
    const found = world ?? await this.reader.read(this.ids);
    const faults = this.model.faults(found, this.inHand());
    if (faults.length > 0) this.fail(line, faults.join("\n"));
    const [wanted, got] = [describeWorld(quiet(this.model.world)), describeWorld(quiet(found))];
    if (wanted !== got) this.fail(line, `the server has\n${got}\nnot\n${wanted}`);
    this.hear(found);
  }

  /** What the beats say is as the server has it. */
  hear({ beats }: World): void {
    this.model.world = { ...this.model.world, beats: new Map(beats) };
  }

  fail(what: string, why: string): never {
    throw this.failure ??= new Error(`${what}: ${why}\nafter\n${this.log.join("\n")}`);
  }

  say(line: string): void {
    this.log.push(line);
  }

  note(what: string, condition = true): void {
    if (condition && this.#classes.has(what)) this.parts.cover.note(what);
  }

  nowOf({ skew }: { readonly skew: number }): number {
    return this.now + skew;
  }

  /** Whether this consumer of ours holds something. */
  owns(id: string): boolean {
    return [...this.model.world.held.keys()].some((tag) => ownerOf(tag, [id]) !== undefined);
  }

  parkedNow(): number {
    return [...this.model.world.held.keys()].filter((tag) => tag.startsWith("celeriac:park:")).length;
  }
}

/** What a beat says is the script's own affair. */
export function quiet(world: World): World {
  return { ...world, beats: new Map([...world.beats.keys()].map((id) => [id, ""])) };
}

/** One of those that fit, or of all where none does. */
export function chosen<T>(all: readonly T[], pick: number, fits: (one: T) => boolean = () => true): T {
  const fitting = all.filter(fits);
  const from = fitting.length > 0 ? fitting : all;
  return from[pick % from.length] as T;
}
