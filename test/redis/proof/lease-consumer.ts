/**
 * A consumer of ours, whose commands are looked at before and after each.
 *
 * @module
 */
import type { Command, CommandOptions, Commands } from "../../../adapters/redis/client.ts";
import type { Ending } from "../../../adapters/redis/lease/settle.ts";
import { LeaseStore } from "../../../adapters/redis/lease/store.ts";
import { Sweeper } from "../../../adapters/redis/lease/sweeper.ts";
import { ConnectionError } from "../../../src/errors.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import type { BasePlatform } from "../../../src/lib/port.ts";
import { type Scene, TIMES } from "./lease-scene.ts";
import type { Taken } from "./model.ts";

/** Carries commands and calls back after each. */
class Watched implements Commands {
  readonly #inner: Commands;
  before: () => Promise<void> = () => Promise.resolve();
  after: (commands: readonly Command[], answers: readonly unknown[]) => Promise<void> = () =>
    Promise.resolve();
  /** The next answer gets lost. */
  loses = false;

  constructor(inner: Commands) {
    this.#inner = inner;
  }

  async run(commands: readonly Command[], options: CommandOptions): Promise<readonly unknown[]> {
    await this.before();
    const answers = await this.#inner.run(commands, options);
    await this.after(commands, answers);
    if (!this.loses) return answers;
    this.loses = false;
    throw new ConnectionError("broker-lost", "The answer was lost.");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A consumer of ours between two of its steps. */
export interface Consumer {
  readonly id: string;
  readonly carrier: Watched;
  readonly store: LeaseStore;
  readonly sweeper: Sweeper;
  /** How far its clock is from the others', ms. */
  skew: number;
  /** The number of its next claim's first message, as the store counts. */
  next: number;
  /** What it thinks that it holds. */
  held: Taken[];
  /** A settlement whose answer was lost. */
  unsure: {
    readonly endings: readonly Ending[];
    readonly ours: readonly boolean[];
    readonly trail: { attempts: number };
  } | undefined;
}

/** A new one. */
export function consumerOf(scene: Scene): Consumer {
  const { commands, keys, subject } = scene.parts;
  const id = scene.name("c");
  const carrier = new Watched(commands);
  const platform: BasePlatform = {
    ...systemPlatform,
    // Only steps make something happen.
    clock: {
      ...systemPlatform.clock,
      now: () => scene.now + one.skew,
      after: () => ({ cancel() {} }),
    },
  };
  const parts = { commands: carrier, keys, subject };
  const one: Consumer = {
    id,
    carrier,
    skew: 0,
    store: new LeaseStore({ ...parts, clock: platform.clock }, {
      id,
      consumerTimeout: TIMES.consumerTimeout,
    }),
    sweeper: new Sweeper({ ...parts, ...TIMES, platform, prepare: () => Promise.resolve() }),
    next: 1,
    held: [],
    unsure: undefined,
  };
  scene.ids.push(id);
  return one;
}

/** Whether an answer was lost on its way. */
export function isLost(error: unknown): boolean {
  return error instanceof ConnectionError && error.code === "broker-lost";
}
