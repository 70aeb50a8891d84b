/**
 * One sequence of steps against a real Redis: after each script the places of all messages are read and held against the model.
 *
 * @module
 */
import { letter } from "../../../src/testing/contract/letter.ts";
import { Ours } from "./lease-ours.ts";
import { Peers } from "./lease-peers.ts";
import { QUEUES, type RunParts, Scene, TIMES } from "./lease-scene.ts";
import { sweep } from "./lease-sweep.ts";
import type { Step } from "./steps.ts";
import { describeWorld } from "./world.ts";

/** Server and clients lose time: what expires is that much nearer to it. */
const PASS = `for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end`;

/** How much time may go by at once, in parts of a beat. */
const TIMES_OF = [0.0001, 0.05, 0.3, 0.6, 1.1, 1.6, 2.5];

/** See the module. Every method of it throws where something is not as it must be. */
export class LeaseRun {
  readonly #scene: Scene;
  readonly #ours: Ours;
  readonly #peers: Peers;

  constructor(parts: RunParts) {
    this.#scene = new Scene(parts);
    this.#ours = new Ours(this.#scene);
    this.#peers = new Peers(this.#scene);
  }

  /** What was done. */
  get log(): readonly string[] {
    return this.#scene.log;
  }

  /** What was found wrong first. */
  get failure(): Error | undefined {
    return this.#scene.failure;
  }

  /** Messages that kombu lost, in its window. */
  get lost(): number {
    return this.#scene.model.letters.filter(({ fate }) => fate === "lost").length;
  }

  async start(consumers: number, peers: number): Promise<void> {
    for (let at = 0; at < consumers; at++) this.#ours.all.push(this.#ours.make());
    await this.#peers.start(peers);
  }

  async step(step: Step): Promise<void> {
    this.#scene.now += 1;
    const act = (inner: Step): Promise<void> => this.step(inner);
    if (step.kind === "publish") return await this.#publish(step);
    if (step.kind === "time") return await this.pass((TIMES_OF[step.a % 7] ?? 0) * TIMES.consumerTimeout);
    if (!await this.#ours.step(step, act)) await this.#peers.step(step, act);
  }

  /** So much time goes by for everybody. */
  async pass(ms: number): Promise<void> {
    this.#scene.now += ms;
    await this.#scene.parts.redis.eval(PASS, 0, ms);
    const world = await this.#scene.reader.read(this.#scene.ids);
    this.#scene.note("a consumer's beat ended", this.#scene.model.world.beats.size > world.beats.size);
    this.#scene.hear(world);
    await this.#scene.check(`${ms} ms go by`, world);
  }

  /** Everybody falls silent; one new consumer must find every message once, and nothing may be left. */
  async drain(): Promise<void> {
    await this.#peers.rest();
    for (const one of this.#ours.all) one.carrier.before = () => Promise.resolve();
    await this.pass(20_000_000);
    const last = this.#ours.make();
    this.#ours.all.splice(0, Infinity, last);
    for (;;) {
      await sweep(this.#scene, last, [], () => Promise.resolve());
      await this.#ours.claim(last, QUEUES.map((queue) => ({ queue, most: 50 })));
      if (last.held.length === 0) break;
      await this.#ours.settle(last, last.held.map((_one, nth) => nth), () => ({ as: "ack" }));
    }
    const { world, letters } = this.#scene.model;
    const left = letters.filter(({ fate }) => fate === "live");
    if (left.length > 0) {
      this.#scene.fail(
        "after everything was run",
        `not found: ${left.map(({ number }) => number).join(" ")}`,
      );
    }
    const rest = describeWorld({ ...world, beats: new Map() });
    if (rest !== "") this.#scene.fail("after everything was run", rest);
  }

  /** Every key of ours ends by itself, and none that peers share. */
  async keys(): Promise<void> {
    const { redis, keys: { prefix } } = this.#scene.parts;
    for (const key of await redis.keys("*")) {
      const ends = await redis.pttl(key) >= 0;
      const ours = key.startsWith(`${prefix}celeriac:`);
      if (ours !== ends) this.#scene.fail("at the end", `${key} ${ends ? "ends" : "stays"}`);
    }
  }

  async end(): Promise<void> {
    for (const { sweeper } of this.#ours.all) sweeper.stop();
    await this.#peers.end();
  }

  async #publish({ a, b }: Step): Promise<void> {
    const { broker } = this.#scene.parts;
    const { to, priority } = this.#scene.address(a, b);
    const number = this.#scene.model.letters.length;
    this.#scene.model.publish(to);
    const message = letter(String(number), { priority });
    const [verdict] = await broker.publish([{ message, to, mustRoute: true }]);
    if (verdict?.is !== "confirmed") this.#scene.fail("a publish", String(verdict?.is));
    await this.#scene.check(`message ${number} comes to ${to.queue} with priority ${priority}`);
  }
}
