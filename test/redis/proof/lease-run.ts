/**
 * One sequence of steps against a real Redis: after each script the places of all messages are read and held against the model.
 *
 * @module
 */
import type { Redis } from "ioredis";
import type { Command, CommandOptions, Commands } from "../../../adapters/redis/client.ts";
import type { Subject } from "../../../adapters/redis/fault.ts";
import type { Claim, Want } from "../../../adapters/redis/lease/claim.ts";
import type { LeaseKeys } from "../../../adapters/redis/lease/keys.ts";
import { RESTORE } from "../../../adapters/redis/lease/scripts.ts";
import type { Ending } from "../../../adapters/redis/lease/settle.ts";
import { LeaseStore } from "../../../adapters/redis/lease/store.ts";
import { Sweeper } from "../../../adapters/redis/lease/sweeper.ts";
import type { Broker } from "../../../src/broker.ts";
import { ConnectionError } from "../../../src/errors.ts";
import { systemPlatform } from "../../../src/lib/platform.ts";
import type { BasePlatform } from "../../../src/lib/port.ts";
import type { Coverage } from "../../support/coverage.ts";
import type { Python } from "../../support/python.ts";
import { letter } from "../../../src/testing/contract/letter.ts";
import { byInstant, type End, Model, ownerOf, type Taken } from "./model.ts";
import type { Step } from "./steps.ts";
import { copyOf, describeWorld, type World, WorldReader } from "./world.ts";

/** What consumers of ours are told, ms: so long that the time that really goes by is nothing beside it. */
export const TIMES = { visibilityTimeout: 2_000_000, consumerTimeout: 1_000_000 };

/** What a consumer of kombu is told, s. No instant of the clock is exactly on its edge. */
const KOMBU_VISIBILITY = 1400.0005;

/** A command that is older than this comes no more. */
const LATEST = TIMES.consumerTimeout / 2;

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

/** Server and clients lose time: what expires is that much nearer to it. */
const PASS = `for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end`;

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
interface Consumer {
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

/** A consumer of kombu. */
interface Peer {
  readonly name: string;
  skew: number;
  /** Popped, and not yet in `unacked`: the window in which kombu's death is a loss. */
  hand: number | undefined;
  /** Tags that it may settle, in kombu's order. */
  readonly delivered: Map<string, number>;
}

/** A script that may come once more, late. */
interface Late {
  readonly at: number;
  readonly what: "claim" | "settle" | "renew";
  readonly commands: readonly Command[];
  readonly effect: () => void;
  /** Whether it may do something still: a claim that took nothing is as good as the next one. */
  readonly current: () => boolean;
}

/** See the module. Every method of it throws where something is not as it must be. */
export class LeaseRun {
  readonly #parts: RunParts;
  readonly #model: Model;
  readonly #reader: WorldReader;
  readonly #consumers: Consumer[] = [];
  readonly #peers: Peer[] = [];
  /** Every consumer of ours that ever was. */
  readonly #ids: string[] = [];
  readonly #late: Late[] = [];
  readonly #log: string[] = [];
  /** Tags that consumers were told of. */
  readonly #given: Set<string> = new Set();
  /** The envelopes, by message, as they were claimed last. */
  readonly #texts: Map<number, string> = new Map();
  readonly #classes: ReadonlySet<string>;
  #failure: Error | undefined;
  #now = 1_800_000_000_000;
  #names = 0;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#classes = new Set(Object.keys(parts.cover.toJSON()));
    this.#model = new Model(QUEUES, parts.keys);
    this.#reader = new WorldReader(parts.redis, QUEUES, parts.keys);
  }

  /** What was done. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** What was found wrong first: a consumer makes its own error of what is thrown under its commands. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Messages that kombu lost, in its window. */
  get lost(): number {
    return this.#model.letters.filter(({ fate }) => fate === "lost").length;
  }

  async start(consumers: number, peers: number): Promise<void> {
    for (let at = 0; at < consumers; at++) this.#consumers.push(this.#consumer());
    for (let at = 0; at < peers; at++) this.#peers.push(await this.#peer());
  }

  async step(step: Step): Promise<void> {
    this.#now += 1;
    const one = chosen(this.#consumers, step.who, WHO[step.kind]);
    switch (step.kind) {
      case "publish":
        return await this.#publish(step);
      case "claim":
      case "claimUnanswered":
        one.carrier.loses = step.kind === "claimUnanswered";
        return await this.#claim(one, wantsOf(step));
      case "late":
        return await this.#comesLate(step.a);
      case "renew":
        return await this.#renew(one);
      case "ack":
      case "back":
      case "park":
        return await this.#settle(one, [step.a], () => this.#end(one, step));
      case "several":
        return await this.#settle(
          one,
          [step.a, step.b, step.c],
          (nth) => this.#end(one, { ...step, a: step.a + nth, kind: "" }),
        );
      case "settleUnanswered":
        if (one.held.length > 0 && one.unsure === undefined) one.carrier.loses = true;
        return await this.#settle(
          one,
          [step.a, step.b],
          (nth) => this.#end(one, { ...step, a: step.a + nth, kind: "" }),
        );
      case "repeat":
        return await this.#repeat(one);
      case "sweep":
        return await this.#sweep(one, step.inside);
      case "crash":
        this.#note("a consumer died with messages", this.#owns(one.id));
        this.#consumers.splice(this.#consumers.indexOf(one), 1, this.#consumer());
        return this.#say(`${one.id} dies`);
      case "time":
        return await this.pass(
          [0.0001, 0.05, 0.3, 0.6, 1.1, 1.6, 2.5].map((part) => part * TIMES.consumerTimeout)[step.a % 7] ??
            0,
        );
      case "skew":
        one.skew += (step.a % 800 - 400) * 1000;
        this.#note("a clock was set back", step.a % 800 < 400);
        return this.#say(`${one.id} is ${one.skew} ms off`);
      default:
        return await this.#kombu(step);
    }
  }

  /** So much time goes by for everybody. */
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    await this.#parts.redis.eval(PASS, 0, ms);
    const world = await this.#reader.read(this.#ids);
    this.#note("a consumer's beat ended", this.#model.world.beats.size > world.beats.size);
    this.#hear(world);
    await this.#check(`${ms} ms go by`, world);
  }

  /** Everybody falls silent; one new consumer must find every message once, and nothing may be left. */
  async drain(): Promise<void> {
    for (const peer of this.#peers) if (peer.hand !== undefined) await this.#append(peer);
    for (const one of this.#consumers) one.carrier.before = () => Promise.resolve();
    await this.pass(20_000_000);
    const last = this.#consumer();
    this.#consumers.splice(0, Infinity, last);
    for (;;) {
      await this.#sweep(last, []);
      await this.#claim(last, QUEUES.map((queue) => ({ queue, most: 50 })));
      if (last.held.length === 0) break;
      await this.#settle(last, last.held.map((_one, nth) => nth), () => ({ as: "ack" }));
    }
    const { world, letters } = this.#model;
    const left = letters.filter(({ fate }) => fate === "live");
    if (left.length > 0) {
      this.#fail(
        "after everything was run",
        `not found: ${left.map(({ number }) => number).join(" ")}`,
      );
    }
    const rest = describeWorld({ ...world, beats: new Map() });
    if (rest !== "") this.#fail("after everything was run", rest);
  }

  /** Every key of ours ends by itself, and none that peers share. */
  async keys(): Promise<void> {
    const { redis, keys: { prefix } } = this.#parts;
    for (const key of await redis.keys("*")) {
      const ends = await redis.pttl(key) >= 0;
      const ours = key.startsWith(`${prefix}celeriac:`);
      if (ours !== ends) this.#fail("at the end", `${key} ${ends ? "ends" : "stays"}`);
    }
  }

  async end(): Promise<void> {
    for (const { sweeper } of this.#consumers) sweeper.stop();
    for (const { name } of this.#peers) await this.#call("die", { name });
  }

  #consumer(): Consumer {
    const { commands, keys, subject } = this.#parts;
    const id = `c${this.#names++}`;
    const carrier = new Watched(commands);
    const platform: BasePlatform = {
      ...systemPlatform,
      // Only steps make something happen.
      clock: { ...systemPlatform.clock, now: () => this.#now + one.skew, after: () => ({ cancel() {} }) },
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
    this.#ids.push(id);
    return one;
  }

  async #publish({ a, b }: Step): Promise<void> {
    const { broker } = this.#parts;
    const { to, priority } = this.#address(a, b);
    const number = this.#model.letters.length;
    this.#model.publish(to);
    const message = letter(String(number), { priority });
    const [verdict] = await broker.publish([{ message, to, mustRoute: true }]);
    if (verdict?.is !== "confirmed") this.#fail("a publish", String(verdict?.is));
    await this.#check(`message ${number} comes to ${to.queue} with priority ${priority}`);
  }

  #address(a: number, b: number) {
    const priority = [0, 0, 0, 4, 9][b % 5] ?? 0;
    const queue = QUEUES[a % 2] ?? QUEUES[0];
    const route = a % 5 === 0 && queue === QUEUES[0] ? ROUTE : { exchange: "", routingKey: queue };
    this.#note("a message that is not urgent", priority > 0);
    return { to: { ...route, queue, priority }, priority };
  }

  async #claim(one: Consumer, wants: readonly Want[]): Promise<void> {
    const { id, next: first } = one;
    const now = this.#nowOf(one);
    let said: ReturnType<Model["claim"]> | undefined;
    const answered = !one.carrier.loses;
    const parked = this.#parkedNow();
    await this.#act(
      one,
      "claim",
      `${id} claims ${wants.map(({ queue, most }) => `${most} of ${queue}`).join(", ")}`,
      () => {
        const answer = this.#model.claim(id, first, wants, now);
        said ??= answer;
      },
    );
    let claim: Claim;
    try {
      claim = await one.store.claim(wants);
    } catch (error) {
      if (answered || !isLost(error)) throw error;
      this.#note("a claim's answer was lost", (said?.taken.length ?? 0) > 0);
      return;
    }
    const { taken, again, next } = said as ReturnType<Model["claim"]>;
    one.next = next;
    this.#note("claimed", !again && taken.length > 0);
    this.#note("claimed nothing", taken.length === 0);
    this.#note("a lost answer was given again", again && taken.length > 0);
    this.#note("a parked message came out", parked > this.#parkedNow());
    const shown = (
      all: readonly { readonly tag: string; readonly queue: string; readonly step: number }[],
    ): string => all.map(({ tag, queue, step }) => `${tag} ${queue} ${step}`).join(", ");
    const inOrder = claim.claimed.toSorted((x, y) => x.tag < y.tag ? -1 : 1);
    if (shown(inOrder) !== shown(taken) || claim.next !== next) {
      this.#fail(
        "a claim's answer",
        `${shown(inOrder)} up to ${claim.next}, not ${shown(taken)} up to ${next}`,
      );
    }
    // Messages of one list come in its order.
    for (const [at, { queue, step, tag }] of claim.claimed.entries()) {
      const before = claim.claimed.slice(0, at).find((other) =>
        other.queue === queue && other.step === step && other.tag > tag
      );
      if (before !== undefined) this.#fail("a claim's order", `${before.tag} before ${tag}`);
    }
    for (const { tag, text } of claim.claimed) {
      const message = taken.find((one) => one.tag === tag)?.message;
      if (message !== undefined) this.#texts.set(message, text);
    }
    const due = Math.min(
      ...wants.flatMap(({ queue }) => [...this.#model.world.parked.get(queue)?.values() ?? []]),
    );
    if (!again && (claim.due ?? Infinity) !== due) this.#fail("what is due next", `${claim.due}, not ${due}`);
    for (const { tag } of taken) {
      if (this.#given.has(tag)) this.#fail("a tag is fresh", `${tag} was given before`);
      this.#given.add(tag);
    }
    one.held.push(...taken);
  }

  #end(one: Consumer, { a, b, kind }: Step): End {
    const as = kind === "ack" || kind === "back" || kind === "park"
      ? kind
      : (["ack", "back", "park"] as const)[a % 3] ?? "ack";
    if (as !== "park") return { as };
    return { as, until: this.#nowOf(one) + 1 + b % 3000 * 1000, returned: b % 2 === 0 };
  }

  async #settle(one: Consumer, picks: readonly number[], endOf: (nth: number) => End): Promise<void> {
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
        const fates = chosen.map((held, nth) => this.#model.settle(held, ends[nth] as End));
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
      this.#note("a settlement's answer was lost", ours?.includes(true) ?? false);
      return;
    }
    for (const [nth, fate] of ours?.entries() ?? []) {
      const end = ends[nth]?.as ?? "ack";
      this.#note(fate ? SETTLED[end] : STALE[end]);
    }
    if (String(answers) !== String(ours)) this.#fail("a settlement's answer", `${answers}, not ${ours}`);
  }

  /** A settlement whose answer was lost is sent again: it changes nothing, and is called ours. */
  async #repeat(one: Consumer): Promise<void> {
    const { unsure } = one;
    if (unsure === undefined) return;
    one.unsure = undefined;
    await this.#act(one, "settle", `${one.id} settles again what got no answer`, () => {});
    const answers = await one.store.settle(unsure.endings, unsure.trail);
    this.#note("a settlement was repeated");
    if (answers.includes(false)) this.#fail("a repeated settlement", String(answers));
  }

  async #renew(one: Consumer): Promise<void> {
    const tags = one.held.map(({ tag }) => tag);
    const now = this.#nowOf(one);
    let gone: string[] | undefined;
    await this.#act(one, "renew", `${one.id} renews ${tags.join(", ")}`, () => {
      const answer = this.#model.renew(one.id, tags, now);
      gone ??= answer;
    });
    const answer = await one.store.renew(tags);
    this.#note("a lease was renewed", tags.length > (gone?.length ?? 0));
    this.#note("a renewal told of a lost lease", (gone?.length ?? 0) > 0);
    if (String(answer) !== String(gone)) this.#fail("a renewal's answer", `${answer}, not ${gone}`);
    // Every second one is settled all the same: news may come too late.
    one.held = one.held.filter(({ tag, message }) => !answer.includes(tag) || message % 2 === 0);
  }

  /** A script that was carried out comes once more: the network repeated it, or its sender did after the answer was lost. */
  async #comesLate(pick: number): Promise<void> {
    const possible = this.#late.filter(({ at }) => at > this.#now - LATEST);
    const late = possible[pick % Math.max(1, possible.length)];
    if (late === undefined) return;
    const before = describeWorld(quiet(this.#model.world));
    await this.#parts.commands.run(late.commands, { repeatable: true });
    late.effect();
    this.#note(`a late ${late.what}`);
    const after = describeWorld(quiet(this.#model.world));
    this.#note("a late claim took what its consumer gets next", late.what === "claim" && after !== before);
    if (late.what !== "renew" && after !== before && !late.current()) {
      this.#fail(`a late ${late.what}`, `it changed\n${before}\nto\n${after}`);
    }
    await this.#check(`late: ${late.what}`);
  }

  /** Looks and acts with steps of others between. What it puts back, nobody must be working on. */
  async #sweep(one: Consumer, inside: readonly Step[]): Promise<void> {
    const rest = [...inside];
    let latest = -Infinity;
    let between = false;
    one.carrier.before = async () => {
      latest = Math.max(latest, this.#nowOf(one));
      const step = rest.shift();
      if (step === undefined) return;
      const { before, after } = one.carrier;
      one.carrier.before = () => Promise.resolve();
      await this.step(step);
      one.carrier.before = before;
      one.carrier.after = after;
      between = true;
      latest = Math.max(latest, this.#nowOf(one));
    };
    one.carrier.after = async (commands, answers) => {
      const before = copyOf(this.#model.world);
      const isAct = commands.some(([, script]) => script === RESTORE.sha || script === RESTORE.text);
      const world = await this.#reader.read(this.#ids);
      if (isAct) {
        this.#swept(before, world, latest - TIMES.visibilityTimeout);
        this.#note("a sweep came too late for an entry", String(answers[0]).includes("0"));
        this.#note("something happened between a sweep's look and its act", between);
        this.#model.world = world;
      }
      await this.#check(`${one.id} sweeps${isAct ? ` and restores ${String(answers[0])}` : ""}`, world);
    };
    try {
      await one.sweeper.sweep();
    } finally {
      one.carrier.before = () => Promise.resolve();
      one.carrier.after = () => Promise.resolve();
    }
  }

  /** What a sweep's act may do: entries that nobody works on go to the front of their lists, the oldest to the very front. */
  #swept(before: World, after: World, expired: number): void {
    const gone = [...before.held].filter(([tag]) => !after.held.has(tag));
    const fronts = new Map<string, (readonly [tag: string, instant: number])[]>();
    for (const [tag, entry] of gone) {
      const owner = ownerOf(tag, this.#ids);
      const orphan = owner !== undefined && !before.beats.has(owner);
      if (entry.score > expired && !orphan) {
        this.#fail(
          "a sweep took what somebody works on",
          `${tag}, whose instant is ${entry.score}, at ${expired}`,
        );
      }
      this.#note(
        "swept: the visibility timeout of kombu's was over",
        owner === undefined && !tag.startsWith("celeriac:"),
      );
      this.#note("swept: the visibility timeout of ours was over", owner !== undefined && !orphan);
      this.#note("swept: a consumer of ours was gone", orphan);
      this.#note("swept: a parked message that nobody took", tag.startsWith("celeriac:park:"));
      const home = this.#model.homeOf(entry);
      const front = fronts.get(home) ?? [];
      fronts.set(home, front);
      front.push([tag, entry.score]);
      before.held.delete(tag);
    }
    for (const [key, front] of fronts) {
      const messages = new Map(gone.map(([tag, { message }]) => [tag, message]));
      const list = after.lists.get(key) ?? [];
      const orders = [front.toSorted(byInstant), front.toSorted(([x], [y]) => x < y ? -1 : 1)]
        .map((order) => order.map(([tag]) => messages.get(tag)).join(" "));
      const found = list.slice(0, front.length).join(" ");
      if (!orders.includes(found)) {
        this.#fail("a sweep's order", `${key} begins with ${found}, not with ${orders[0]}`);
      }
      before.lists.set(key, [...list.slice(0, front.length), ...before.lists.get(key) ?? []]);
    }
    this.#note("a sweep put several into one list", [...fronts.values()].some((front) => front.length > 1));
    // A tag without an entry is swept out, whoever left it.
    for (const tag of before.strays.keys()) if (!after.strays.has(tag)) before.strays.delete(tag);
    const [wanted, found] = [describeWorld(before), describeWorld(after)];
    if (wanted !== found) this.#fail("a sweep did more than it may", `${found}\nnot\n${wanted}`);
  }

  async #kombu(step: Step): Promise<void> {
    const peer = chosen(this.#peers, step.who, WHICH[step.kind]);
    const { name } = peer;
    switch (step.kind) {
      case "kombuPublish": {
        const { to, priority } = this.#address(step.a, step.b);
        const body = this.#model.letters.length;
        this.#model.publish(to);
        const { exchange, routingKey: routing_key } = to;
        await this.#call("publish", { name, body, exchange, routing_key, priority });
        return await this.#check(`kombu publishes ${body} to ${to.queue} with priority ${priority}`);
      }
      case "kombuPop":
        return peer.hand === undefined ? await this.#pop(peer) : await this.#append(peer);
      case "kombuAppend":
        return peer.hand === undefined ? undefined : await this.#append(peer);
      case "kombuAck":
      case "kombuReject": {
        const tag = [...peer.delivered.keys()][step.a % Math.max(1, peer.delivered.size)];
        if (tag === undefined) return;
        return await this.#finish(
          peer,
          tag,
          step.kind === "kombuAck" ? "ack" : step.b % 3 === 0 ? "reject" : "requeue",
        );
      }
      case "kombuSweep": {
        const before = this.#peerNow(peer) - KOMBU_VISIBILITY * 1000;
        const tags = this.#model.visible(before);
        for (const tag of tags) this.#rob(tag);
        await this.#call("sweep", { name }, peer);
        return await this.#check(`${name} restores ${tags.join(", ")}`);
      }
      case "kombuSlowSweep":
        return await this.#slowSweep(peer, step.inside);
      case "kombuClose":
      case "kombuDie": {
        const dies = step.kind === "kombuDie";
        this.#note(
          dies ? "kombu died holding messages" : "kombu closed holding messages",
          peer.delivered.size > 0,
        );
        if (peer.hand !== undefined) {
          // Popped, and in no other place: kombu's own loss, by its death and by its shutdown alike.
          this.#model.letter(peer.hand).fate = "lost";
          this.#note("kombu lost a message in its window");
        }
        if (!dies) { for (const tag of peer.delivered.keys()) this.#model.restored(tag); }
        await this.#call(dies ? "die" : "close", { name });
        peer.hand = undefined;
        await this.#check(`${name} ${dies ? "dies" : "closes"}`);
        this.#peers.splice(this.#peers.indexOf(peer), 1, await this.#peer());
        return;
      }
      default:
        throw new Error(`no step ${step.kind}`);
    }
  }

  /** kombu looks, others act, and then it restores what it saw: by tag, whatever became of it. */
  async #slowSweep(peer: Peer, inside: readonly Step[]): Promise<void> {
    const { name } = peer;
    const before = this.#peerNow(peer) - KOMBU_VISIBILITY * 1000;
    const seen = await this.#call<string[]>("visible", { name }, peer);
    const wanted = this.#model.visible(before);
    if (String(seen) !== String(wanted)) {
      this.#fail("what kombu sees", `${seen.join(", ")}, not ${wanted.join(", ")}`);
    }
    await this.#check(`${name} is going to restore ${seen.join(", ")}`);
    for (const step of inside) await this.step(step);
    for (const tag of seen) {
      // It died meanwhile.
      if (!this.#peers.includes(peer)) return;
      this.#note(
        "kombu robbed a lease that was renewed meanwhile",
        (this.#model.world.held.get(tag)?.score ?? 0) > before,
      );
      this.#rob(tag);
      await this.#call("restore", { name, tag });
      await this.#check(`${name} restores ${tag}, as it was going to`);
    }
  }

  async #peer(): Promise<Peer> {
    const name = `k${this.#names++}`;
    await this.#call("open", {
      name,
      url: this.#parts.url,
      queues: QUEUES,
      visibility_timeout: KOMBU_VISIBILITY,
    });
    await this.#call("bind", {
      name,
      exchange: ROUTE.exchange,
      routing_key: ROUTE.routingKey,
      queue: QUEUES[0],
    });
    return { name, skew: 0, hand: undefined, delivered: new Map() };
  }

  async #pop(peer: Peer): Promise<void> {
    const { keys } = this.#parts;
    const { lists } = this.#model.world;
    // It would wait for a message.
    if ([...lists.values()].every((list) => list.length === 0)) return;
    await this.#call("pop", { name: peer.name });
    const world = await this.#reader.read(this.#ids);
    const [key, ...more] = [...lists.keys()].filter((one) =>
      lists.get(one)?.length !== world.lists.get(one)?.length
    );
    if (key === undefined || more.length > 0) {
      this.#fail("kombu's BRPOP", `it took from ${key} and ${more.join(", ")}`);
    }
    const urgent = keys.lists(QUEUES[0]).findIndex((_list, step) =>
      QUEUES.some((queue) => (lists.get(keys.list(queue, step))?.length ?? 0) > 0)
    );
    if (!QUEUES.some((queue) => keys.list(queue, urgent) === key)) {
      this.#fail("kombu's BRPOP", `it took from ${key}`);
    }
    peer.hand = lists.get(key as string)?.shift();
    await this.#check(`${peer.name} pops ${peer.hand}`, world);
  }

  async #append(peer: Peer): Promise<void> {
    const message = peer.hand as number;
    const tag = await this.#call<string>("append", { name: peer.name }, peer);
    peer.hand = undefined;
    this.#note("kombu took a message under a tag that it had before", this.#given.has(tag));
    this.#given.add(tag);
    this.#model.append(tag, message, this.#peerNow(peer));
    peer.delivered.set(tag, message);
    await this.#check(`${peer.name} has ${message} as ${tag}`);
  }

  async #finish(peer: Peer, tag: string, how: "ack" | "reject" | "requeue"): Promise<void> {
    const message = peer.delivered.get(tag) as number;
    const there = this.#model.world.held.has(tag);
    this.#note(`kombu's ${how}`, there);
    this.#note("kombu's stale settlement did nothing", !there && this.#model.letter(message).fate === "live");
    peer.delivered.delete(tag);
    if (how === "requeue") this.#model.restored(tag, true);
    else this.#model.acked(tag);
    const { name } = peer;
    await (how === "ack"
      ? this.#call("ack", { name, tag })
      : this.#call("reject", { name, tag, requeue: how === "requeue" }));
    await this.#check(`${name} settles ${tag} as ${how}`);
  }

  /** kombu's sweep looks at instants alone, not at who holds a message. */
  #rob(tag: string): void {
    const owner = ownerOf(tag, this.#ids);
    const restored = this.#model.restored(tag);
    this.#note("kombu's sweep put back what ours held", restored && owner !== undefined);
    this.#note("kombu's sweep put back kombu's", restored && !tag.startsWith("celeriac:"));
    this.#note("kombu's sweep put back what was parked", restored && tag.startsWith("celeriac:park:"));
  }

  async #call<T>(method: string, params: Readonly<Record<string, unknown>>, peer?: Peer): Promise<T> {
    const { python } = this.#parts;
    if (python === undefined) throw new Error("kombu takes no part");
    if (peer !== undefined) await python.call("clock", { seconds: this.#peerNow(peer) / 1000 });
    return await python.call<T>(method, params);
  }

  /** What the next script of this consumer does to the model, and that the server agrees. */
  #act(one: Consumer, what: Late["what"], line: string, effect: () => void): Promise<void> {
    one.carrier.after = async (commands) => {
      one.carrier.after = () => Promise.resolve();
      effect();
      const first = one.next;
      this.#late.push({
        at: this.#now,
        what,
        commands,
        effect,
        current: () => what === "claim" && one.next === first,
      });
      if (this.#late.length > 12) this.#late.shift();
      await this.#check(line);
    };
    return Promise.resolve();
  }

  async #check(line: string, world?: World): Promise<void> {
    this.#say(line);
    const found = world ?? await this.#reader.read(this.#ids);
    const inHand = new Set(this.#peers.flatMap(({ hand }) => hand === undefined ? [] : [hand]));
    const faults = this.#model.faults(found, inHand);
    if (faults.length > 0) this.#fail(line, faults.join("\n"));
    const [wanted, got] = [describeWorld(quiet(this.#model.world)), describeWorld(quiet(found))];
    if (wanted !== got) this.#fail(line, `the server has\n${got}\nnot\n${wanted}`);
    this.#hear(found);
  }

  /** What the beats say is as the server has it. */
  #hear({ beats }: World): void {
    this.#model.world = { ...this.#model.world, beats: new Map(beats) };
  }

  #fail(what: string, why: string): never {
    throw this.#failure ??= new Error(`${what}: ${why}\nafter\n${this.#log.join("\n")}`);
  }

  #say(line: string): void {
    this.#log.push(line);
  }

  #note(what: string, condition = true): void {
    if (condition && this.#classes.has(what)) this.#parts.cover.note(what);
  }

  #nowOf({ skew }: Consumer): number {
    return this.#now + skew;
  }

  #peerNow({ skew }: Peer): number {
    return this.#now + skew;
  }

  #owns(id: string): boolean {
    return [...this.#model.world.held.keys()].some((tag) => ownerOf(tag, [id]) !== undefined);
  }

  #parkedNow(): number {
    return [...this.#model.world.held.keys()].filter((tag) => tag.startsWith("celeriac:park:")).length;
  }
}

function isLost(error: unknown): boolean {
  return error instanceof ConnectionError && error.code === "broker-lost";
}

const SETTLED = { ack: "acked", back: "requeued", park: "parked" } as const;
const STALE = { ack: "a stale ack", back: "a stale requeue", park: "a stale park" } as const;

/** What a beat says is the script's own affair. */
function quiet(world: World): World {
  return { ...world, beats: new Map([...world.beats.keys()].map((id) => [id, ""])) };
}

const holds = ({ held, unsure }: Consumer): boolean => held.length > 0 && unsure === undefined;

/** Whom a step is for, where there is one. */
const WHO: Readonly<Record<string, (one: Consumer) => boolean>> = {
  ...Object.fromEntries(["ack", "back", "park", "several", "settleUnanswered"].map((kind) => [kind, holds])),
  renew: ({ held }) => held.length > 0,
  crash: ({ held }) => held.length > 0,
  repeat: ({ unsure }) => unsure !== undefined,
};

const WHICH: Readonly<Record<string, (peer: Peer) => boolean>> = {
  kombuAck: ({ delivered }) => delivered.size > 0,
  kombuReject: ({ delivered }) => delivered.size > 0,
  kombuPop: ({ hand }) => hand === undefined,
  kombuAppend: ({ hand }) => hand !== undefined,
};

function chosen<T>(all: readonly T[], pick: number, fits: (one: T) => boolean = () => true): T {
  const fitting = all.filter(fits);
  const from = fitting.length > 0 ? fitting : all;
  return from[pick % from.length] as T;
}

function wantsOf({ a, b }: Step): Want[] {
  const wants = QUEUES.map((queue, at) => ({ queue, most: 1 + (at === 0 ? a : b) % 4 }));
  return a % 3 === 0 ? wants : [wants[a % 2] ?? { queue: QUEUES[0], most: 1 }];
}
