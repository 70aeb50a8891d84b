/**
 * Consumers of ours, each between two of its steps, and scripts of theirs that come once more.
 *
 * @module
 */
import type { Command } from "../../../adapters/redis/client.ts";
import type { Claim, Want } from "../../../adapters/redis/lease/claim.ts";
import type { Ending } from "../../../adapters/redis/lease/settle.ts";
import { type Consumer, consumerOf, isLost } from "./lease-consumer.ts";
import { chosen, QUEUES, quiet, type Scene, TIMES } from "./lease-scene.ts";
import { sweep } from "./lease-sweep.ts";
import type { End, Model, Taken } from "./model.ts";
import type { Step } from "./steps.ts";
import { describeWorld } from "./world.ts";

/** A command that is older than this comes no more. */
const LATEST = TIMES.consumerTimeout / 2;

/** A script that may come once more, late. */
interface Late {
  readonly at: number;
  readonly what: "claim" | "settle" | "renew";
  readonly commands: readonly Command[];
  readonly effect: () => void;
  /** Whether it may do something still: a claim that took nothing is as good as the next one. */
  readonly current: () => boolean;
}

/** See the module. */
export class Ours {
  readonly #scene: Scene;
  /** Those that live. */
  readonly all: Consumer[] = [];
  readonly #late: Late[] = [];
  /** The envelopes, by message, as they were claimed last. */
  readonly #texts: Map<number, string> = new Map();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Plays a step of theirs; false for one that is none. `act` plays a step of anybody's. */
  async step(step: Step, act: (step: Step) => Promise<void>): Promise<boolean> {
    const one = chosen(this.all, step.who, WHO[step.kind]);
    switch (step.kind) {
      case "claim":
      case "claimUnanswered":
        one.carrier.loses = step.kind === "claimUnanswered";
        await this.claim(one, wantsOf(step));
        return true;
      case "late":
        await this.#comesLate(step.a);
        return true;
      case "renew":
        await this.#renew(one);
        return true;
      case "ack":
      case "back":
      case "park":
        await this.settle(one, [step.a], () => this.#end(one, step));
        return true;
      case "several":
        await this.settle(
          one,
          [step.a, step.b, step.c],
          (nth) => this.#end(one, { ...step, a: step.a + nth, kind: "" }),
        );
        return true;
      case "settleUnanswered":
        if (one.held.length > 0 && one.unsure === undefined) one.carrier.loses = true;
        await this.settle(
          one,
          [step.a, step.b],
          (nth) => this.#end(one, { ...step, a: step.a + nth, kind: "" }),
        );
        return true;
      case "repeat":
        await this.#repeat(one);
        return true;
      case "sweep":
        await sweep(this.#scene, one, step.inside, act);
        return true;
      case "crash":
        this.#scene.note("a consumer died with messages", this.#scene.owns(one.id));
        this.all.splice(this.all.indexOf(one), 1, this.make());
        this.#scene.say(`${one.id} dies`);
        return true;
      case "skew":
        one.skew += (step.a % 800 - 400) * 1000;
        this.#scene.note("a clock was set back", step.a % 800 < 400);
        this.#scene.say(`${one.id} is ${one.skew} ms off`);
        return true;
      default:
        return false;
    }
  }

  /** A new one, which is none of those that live yet. */
  make(): Consumer {
    return consumerOf(this.#scene);
  }

  async claim(one: Consumer, wants: readonly Want[]): Promise<void> {
    const { id, next: first } = one;
    const now = this.#scene.nowOf(one);
    let said: ReturnType<Model["claim"]> | undefined;
    const answered = !one.carrier.loses;
    const parked = this.#scene.parkedNow();
    await this.#act(
      one,
      "claim",
      `${id} claims ${wants.map(({ queue, most }) => `${most} of ${queue}`).join(", ")}`,
      () => {
        const answer = this.#scene.model.claim(id, first, wants, now);
        said ??= answer;
      },
    );
    let claim: Claim;
    try {
      claim = await one.store.claim(wants);
    } catch (error) {
      if (answered || !isLost(error)) throw error;
      this.#scene.note("a claim's answer was lost", (said?.taken.length ?? 0) > 0);
      return;
    }
    const { taken, again, next } = said as ReturnType<Model["claim"]>;
    one.next = next;
    this.#scene.note("claimed", !again && taken.length > 0);
    this.#scene.note("claimed nothing", taken.length === 0);
    this.#scene.note("a lost answer was given again", again && taken.length > 0);
    this.#scene.note("a parked message came out", parked > this.#scene.parkedNow());
    const shown = (
      all: readonly { readonly tag: string; readonly queue: string; readonly step: number }[],
    ): string => all.map(({ tag, queue, step }) => `${tag} ${queue} ${step}`).join(", ");
    const inOrder = claim.claimed.toSorted((x, y) => x.tag < y.tag ? -1 : 1);
    if (shown(inOrder) !== shown(taken) || claim.next !== next) {
      this.#scene.fail(
        "a claim's answer",
        `${shown(inOrder)} up to ${claim.next}, not ${shown(taken)} up to ${next}`,
      );
    }
    // Messages of one list come in its order.
    for (const [at, { queue, step, tag }] of claim.claimed.entries()) {
      const before = claim.claimed.slice(0, at).find((other) =>
        other.queue === queue && other.step === step && other.tag > tag
      );
      if (before !== undefined) this.#scene.fail("a claim's order", `${before.tag} before ${tag}`);
    }
    for (const { tag, text } of claim.claimed) {
      const message = taken.find((one) => one.tag === tag)?.message;
      if (message !== undefined) this.#texts.set(message, text);
    }
    const due = Math.min(
      ...wants.flatMap(({ queue }) => [...this.#scene.model.world.parked.get(queue)?.values() ?? []]),
    );
    if (!again && (claim.due ?? Infinity) !== due) {
      this.#scene.fail("what is due next", `${claim.due}, not ${due}`);
    }
    for (const { tag } of taken) {
      if (this.#scene.given.has(tag)) this.#scene.fail("a tag is fresh", `${tag} was given before`);
      this.#scene.given.add(tag);
    }
    one.held.push(...taken);
  }

  #end(one: Consumer, { a, b, kind }: Step): End {
    const as = kind === "ack" || kind === "back" || kind === "park"
      ? kind
      : (["ack", "back", "park"] as const)[a % 3] ?? "ack";
    if (as !== "park") return { as };
    return { as, until: this.#scene.nowOf(one) + 1 + b % 3000 * 1000, returned: b % 2 === 0 };
  }

  async settle(one: Consumer, picks: readonly number[], endOf: (nth: number) => End): Promise<void> {
    if (one.unsure !== undefined || one.held.length === 0) return;
    const chosen = [...new Set(picks.map((pick) => one.held[pick % one.held.length] as Taken))];
    one.held = one.held.filter((held) => !chosen.includes(held));
    const ends = chosen.map((_held, nth) => endOf(nth));
    const endings = chosen.map(({ tag, queue, step, message }, nth): Ending => ({
      claimed: { tag, queue, step, text: this.#texts.get(message) ?? "" },
      how: ends[nth] as End,
    }));
    const loses = one.carrier.loses;
    let ours: boolean[] | undefined;
    await this.#act(
      one,
      "settle",
      `${one.id} settles ${chosen.map(({ tag }, nth) => `${tag} as ${ends[nth]?.as}`).join(", ")}`,
      () => {
        const fates = chosen.map((held, nth) => this.#scene.model.settle(held, ends[nth] as End));
        ours ??= fates;
      },
    );
    const trail = { attempts: 0 };
    let answers: readonly (boolean | Error)[];
    try {
      answers = await one.store.settle(endings, trail);
    } catch (error) {
      if (!loses || !isLost(error)) throw error;
      one.unsure = { endings, ours: ours ?? [], trail };
      this.#scene.note("a settlement's answer was lost", ours?.includes(true) ?? false);
      return;
    }
    for (const [nth, fate] of ours?.entries() ?? []) {
      const end = ends[nth]?.as ?? "ack";
      this.#scene.note(fate ? SETTLED[end] : STALE[end]);
    }
    if (String(answers) !== String(ours)) {
      this.#scene.fail("a settlement's answer", `${answers}, not ${ours}`);
    }
  }

  /** A settlement whose answer was lost is sent again: it changes nothing, and is called ours. */
  async #repeat(one: Consumer): Promise<void> {
    const { unsure } = one;
    if (unsure === undefined) return;
    one.unsure = undefined;
    await this.#act(one, "settle", `${one.id} settles again what got no answer`, () => {});
    const answers = await one.store.settle(unsure.endings, unsure.trail);
    this.#scene.note("a settlement was repeated");
    if (answers.includes(false)) this.#scene.fail("a repeated settlement", String(answers));
  }

  async #renew(one: Consumer): Promise<void> {
    const tags = one.held.map(({ tag }) => tag);
    const now = this.#scene.nowOf(one);
    let gone: string[] | undefined;
    await this.#act(one, "renew", `${one.id} renews ${tags.join(", ")}`, () => {
      const answer = this.#scene.model.renew(one.id, tags, now);
      gone ??= answer;
    });
    const answer = await one.store.renew(tags);
    this.#scene.note("a lease was renewed", tags.length > (gone?.length ?? 0));
    this.#scene.note("a renewal told of a lost lease", (gone?.length ?? 0) > 0);
    if (String(answer) !== String(gone)) this.#scene.fail("a renewal's answer", `${answer}, not ${gone}`);
    // Every second one is settled all the same: news may come too late.
    one.held = one.held.filter(({ tag, message }) => !answer.includes(tag) || message % 2 === 0);
  }

  /** A script that was carried out comes once more: the network repeated it, or its sender did after the answer was lost. */
  async #comesLate(pick: number): Promise<void> {
    const possible = this.#late.filter(({ at }) => at > this.#scene.now - LATEST);
    const late = possible[pick % Math.max(1, possible.length)];
    if (late === undefined) return;
    const before = describeWorld(quiet(this.#scene.model.world));
    await this.#scene.parts.commands.run(late.commands, { repeatable: true });
    late.effect();
    this.#scene.note(`a late ${late.what}`);
    const after = describeWorld(quiet(this.#scene.model.world));
    this.#scene.note(
      "a late claim took what its consumer gets next",
      late.what === "claim" && after !== before,
    );
    if (late.what !== "renew" && after !== before && !late.current()) {
      this.#scene.fail(`a late ${late.what}`, `it changed\n${before}\nto\n${after}`);
    }
    await this.#scene.check(`late: ${late.what}`);
  }

  /** What the next script of this consumer does to the model, and that the server agrees. */
  #act(one: Consumer, what: Late["what"], line: string, effect: () => void): Promise<void> {
    one.carrier.after = async (commands) => {
      one.carrier.after = () => Promise.resolve();
      effect();
      const first = one.next;
      this.#late.push({
        at: this.#scene.now,
        what,
        commands,
        effect,
        current: () => what === "claim" && one.next === first,
      });
      if (this.#late.length > 12) this.#late.shift();
      await this.#scene.check(line);
    };
    return Promise.resolve();
  }
}

const SETTLED = { ack: "acked", back: "requeued", park: "parked" } as const;
const STALE = { ack: "a stale ack", back: "a stale requeue", park: "a stale park" } as const;

const holds = ({ held, unsure }: Consumer): boolean => held.length > 0 && unsure === undefined;

/** Whom a step is for, where there is one. */
const WHO: Readonly<Record<string, (one: Consumer) => boolean>> = {
  ...Object.fromEntries(["ack", "back", "park", "several", "settleUnanswered"].map((kind) => [kind, holds])),
  renew: ({ held }) => held.length > 0,
  crash: ({ held }) => held.length > 0,
  repeat: ({ unsure }) => unsure !== undefined,
};

function wantsOf({ a, b }: Step): Want[] {
  const wants = QUEUES.map((queue, at) => ({ queue, most: 1 + (at === 0 ? a : b) % 4 }));
  return a % 3 === 0 ? wants : [wants[a % 2] ?? { queue: QUEUES[0], most: 1 }];
}
