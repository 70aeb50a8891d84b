/**
 * One sequence on the reducer and on a real server: after every step both have said the same and their queues hold the same.
 *
 * @module
 */
import type { Coverage } from "../../support/coverage.ts";
import { pause } from "../../support/wait.ts";
import { noteSequence, noteStep } from "./classes.ts";
import { FakeServer } from "./fake.ts";
import { type Pick, preamble, type Profile, resolve } from "./plan.ts";
import { RealRun } from "./real.ts";
import type { RealServer } from "./server.ts";
import { type Names, namesOf, type Step } from "./step.ts";
import { differences, stepText } from "./text.ts";

/** How a sequence is compared. */
export interface CompareOptions {
  readonly server: RealServer;
  readonly profile: Profile;
  readonly cover: Coverage;
  /** Longest wait for the real server to come to the same state, ms. */
  readonly patience: number;
}

/** This machine was too slow for the sequence's times: nothing can be said. */
export class TooSlow extends Error {
  override name = "TooSlow";
}

/** What became of a sequence. */
export interface Compared {
  readonly steps: number;
  /** Steps that chance could have decided, and that were not run. */
  readonly leftOut: number;
}

/** A sequence after which the two differ. */
export class Divergence extends Error {
  override name = "Divergence";
}

/** Throws {@link Divergence} with all steps and what differs; {@link TooSlow}. */
export async function compare(picks: readonly Pick[], options: CompareOptions): Promise<Compared> {
  const names = namesOf(`celeriac.diff.${crypto.randomUUID()}`);
  const run = new Sequence(names, options);
  try {
    return await run.play(picks);
  } finally {
    await run.end();
  }
}

class Sequence {
  readonly #names: Names;
  readonly #options: CompareOptions;
  readonly #now: number = Date.now();
  readonly #done: Step[] = [];
  readonly #real: RealRun;
  #fake: FakeServer;
  /** When the present instant of the reducer was on the real server's clock. */
  #instant = 0;

  constructor(names: Names, options: CompareOptions) {
    this.#names = names;
    this.#options = options;
    this.#real = new RealRun(options.server);
    this.#fake = new FakeServer(this.#now);
  }

  async play(picks: readonly Pick[]): Promise<Compared> {
    const { profile, cover } = this.#options;
    await this.#real.start();
    this.#instant = Infinity;
    for (const step of preamble(picks, this.#names, profile)) await this.#take(step);
    this.#instant = performance.now();
    let leftOut = 0;
    for (const [at, pick] of picks.entries()) {
      const step = resolve(pick, this.#names, this.#fake, `m${at}`, profile);
      if (!await this.#take(step)) leftOut++;
    }
    await this.#real.flush();
    await this.#agree();
    await this.#gone();
    noteSequence(cover, this.#fake);
    return { steps: this.#done.length, leftOut };
  }

  async end(): Promise<void> {
    await this.#real.end();
    await this.#options.server.clean(this.#names, this.#fake.owners());
  }

  /** False when chance would decide: the step is left out then, and the reducer is as it was before. */
  async #take(step: Step): Promise<boolean> {
    const { cover } = this.#options;
    const before = noteStep(cover, this.#fake, step);
    const owned = this.#fake.owners().filter(([, owner]) => owner !== undefined).map(([queue]) => queue);
    this.#fake.run(step);
    if (this.#fake.racing) {
      cover.note("left to chance");
      this.#fake = FakeServer.after(this.#done, this.#now);
      return false;
    }
    this.#fake.ask();
    before();
    this.#done.push(step);
    if (step.do === "wait") {
      this.#instant += step.ms;
      await pause(this.#instant - performance.now());
    } else await this.#real.run(step);
    if (step.do === "drop" || step.do === "closeConnection") await this.#ownerGone(owned);
    await this.#agree();
    return true;
  }

  /** The server hears of a broken connection when it looks, and takes away what was the connection's own after that. */
  async #ownerGone(owned: readonly string[]): Promise<void> {
    const end = performance.now() + this.#options.patience;
    for (const queue of owned.filter((name) => !this.#fake.queues.includes(name))) {
      const stands = async (): Promise<boolean> =>
        (await this.#options.server.counts([[queue, undefined]]))[queue] !== "error 404";
      while (performance.now() < end && await stands()) await pause(2);
    }
  }

  /** Looks until both agree: as long as the instant lasts, where time matters. */
  async #agree(): Promise<void> {
    const { server, patience, profile: { slack } } = this.#options;
    const [fake, real] = [this.#fake, this.#real];
    const last = this.#instant + slack;
    const end = Math.min(performance.now() + patience, last);
    const [traces, counts] = [JSON.stringify(fake.traces), JSON.stringify(fake.counts)];
    for (let look = 0;; look++) {
      const asked = await server.counts(fake.owners());
      const same = JSON.stringify(asked) === counts && JSON.stringify(real.traces) === traces;
      const now = performance.now();
      if (now > last && (look === 0 || same)) throw new TooSlow();
      if (same) return;
      if (now >= end) this.#differ([fake.traces, fake.counts], [real.traces, asked]);
      if (look > 1) await real.news(5);
    }
  }

  /** What is gone on the reducer is gone on the server. */
  async #gone(): Promise<void> {
    const gone = this.#names.queues.filter((queue) => !this.#fake.queues.includes(queue));
    for (const queue of gone) {
      const counts = await this.#options.server.counts([[queue, undefined]]);
      if (counts[queue] !== "error 404") this.#differ({ [queue]: "error 404" }, counts);
    }
  }

  #differ(fake: unknown, real: unknown): never {
    const run = this.#names.queues[0]?.slice(0, -2) ?? "";
    const lines = [...this.#done.map(stepText), "", ...differences(fake, real)];
    throw new Divergence(`after\n${lines.join("\n").replaceAll(run, "")}`);
  }
}
