/**
 * Consumers of kombu, each between two of its steps.
 *
 * @module
 */
import { chosen, QUEUES, ROUTE, type Scene } from "./lease-scene.ts";
import { ownerOf } from "./model.ts";
import type { Step } from "./steps.ts";

/** What a consumer of kombu is told, s. No instant of the clock is exactly on its edge. */
const KOMBU_VISIBILITY = 1400.0005;

/** A consumer of kombu. */
interface Peer {
  readonly name: string;
  skew: number;
  /** Popped, and not yet in `unacked`: the window in which kombu's death is a loss. */
  hand: number | undefined;
  /** Tags that it may settle, in kombu's order. */
  readonly delivered: Map<string, number>;
}

/** See the module. */
export class Peers {
  readonly #scene: Scene;
  readonly #peers: Peer[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
    scene.inHand = () => new Set(this.#peers.flatMap(({ hand }) => hand === undefined ? [] : [hand]));
  }

  async start(count: number): Promise<void> {
    for (let at = 0; at < count; at++) this.#peers.push(await this.#peer());
  }

  /** What they have in hand is in the server again. */
  async rest(): Promise<void> {
    for (const peer of this.#peers) if (peer.hand !== undefined) await this.#append(peer);
  }

  async end(): Promise<void> {
    for (const { name } of this.#peers) await this.#call("die", { name });
  }

  /** Plays a step of theirs. `act` plays a step of anybody's. */
  async step(step: Step, act: (step: Step) => Promise<void>): Promise<void> {
    const peer = chosen(this.#peers, step.who, WHICH[step.kind]);
    const { name } = peer;
    switch (step.kind) {
      case "kombuPublish": {
        const { to, priority } = this.#scene.address(step.a, step.b);
        const body = this.#scene.model.letters.length;
        this.#scene.model.publish(to);
        const { exchange, routingKey: routing_key } = to;
        await this.#call("publish", { name, body, exchange, routing_key, priority });
        return await this.#scene.check(`kombu publishes ${body} to ${to.queue} with priority ${priority}`);
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
        const before = this.#scene.nowOf(peer) - KOMBU_VISIBILITY * 1000;
        const tags = this.#scene.model.visible(before);
        for (const tag of tags) this.#rob(tag);
        await this.#call("sweep", { name }, peer);
        return await this.#scene.check(`${name} restores ${tags.join(", ")}`);
      }
      case "kombuSlowSweep":
        return await this.#slowSweep(peer, step.inside, act);
      case "kombuClose":
      case "kombuDie": {
        const dies = step.kind === "kombuDie";
        this.#scene.note(
          dies ? "kombu died holding messages" : "kombu closed holding messages",
          peer.delivered.size > 0,
        );
        if (peer.hand !== undefined) {
          // Popped, and in no other place: kombu's own loss, by its death and by its shutdown alike.
          this.#scene.model.letter(peer.hand).fate = "lost";
          this.#scene.note("kombu lost a message in its window");
        }
        if (!dies) { for (const tag of peer.delivered.keys()) this.#scene.model.restored(tag); }
        await this.#call(dies ? "die" : "close", { name });
        peer.hand = undefined;
        await this.#scene.check(`${name} ${dies ? "dies" : "closes"}`);
        this.#peers.splice(this.#peers.indexOf(peer), 1, await this.#peer());
        return;
      }
      default:
        throw new Error(`no step ${step.kind}`);
    }
  }

  /** kombu looks, others act, and then it restores what it saw: by tag, whatever became of it. */
  async #slowSweep(peer: Peer, inside: readonly Step[], act: (step: Step) => Promise<void>): Promise<void> {
    const { name } = peer;
    const before = this.#scene.nowOf(peer) - KOMBU_VISIBILITY * 1000;
    const seen = await this.#call<string[]>("visible", { name }, peer);
    const wanted = this.#scene.model.visible(before);
    if (String(seen) !== String(wanted)) {
      this.#scene.fail("what kombu sees", `${seen.join(", ")}, not ${wanted.join(", ")}`);
    }
    await this.#scene.check(`${name} is going to restore ${seen.join(", ")}`);
    for (const step of inside) await act(step);
    for (const tag of seen) {
      // It died meanwhile.
      if (!this.#peers.includes(peer)) return;
      this.#scene.note(
        "kombu robbed a lease that was renewed meanwhile",
        (this.#scene.model.world.held.get(tag)?.score ?? 0) > before,
      );
      this.#rob(tag);
      await this.#call("restore", { name, tag });
      await this.#scene.check(`${name} restores ${tag}, as it was going to`);
    }
  }

  async #peer(): Promise<Peer> {
    const name = this.#scene.name("k");
    await this.#call("open", {
      name,
      url: this.#scene.parts.url,
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
    const { keys } = this.#scene.parts;
    const { lists } = this.#scene.model.world;
    // It would wait for a message.
    if ([...lists.values()].every((list) => list.length === 0)) return;
    await this.#call("pop", { name: peer.name });
    const world = await this.#scene.reader.read(this.#scene.ids);
    const [key, ...more] = [...lists.keys()].filter((one) =>
      lists.get(one)?.length !== world.lists.get(one)?.length
    );
    if (key === undefined || more.length > 0) {
      this.#scene.fail("kombu's BRPOP", `it took from ${key} and ${more.join(", ")}`);
    }
    const urgent = keys.lists(QUEUES[0]).findIndex((_list, step) =>
      QUEUES.some((queue) => (lists.get(keys.list(queue, step))?.length ?? 0) > 0)
    );
    if (!QUEUES.some((queue) => keys.list(queue, urgent) === key)) {
      this.#scene.fail("kombu's BRPOP", `it took from ${key}`);
    }
    peer.hand = lists.get(key as string)?.shift();
    await this.#scene.check(`${peer.name} pops ${peer.hand}`, world);
  }

  async #append(peer: Peer): Promise<void> {
    const message = peer.hand as number;
    const tag = await this.#call<string>("append", { name: peer.name }, peer);
    peer.hand = undefined;
    this.#scene.note("kombu took a message under a tag that it had before", this.#scene.given.has(tag));
    this.#scene.given.add(tag);
    this.#scene.model.append(tag, message, this.#scene.nowOf(peer));
    peer.delivered.set(tag, message);
    await this.#scene.check(`${peer.name} has ${message} as ${tag}`);
  }

  async #finish(peer: Peer, tag: string, how: "ack" | "reject" | "requeue"): Promise<void> {
    const message = peer.delivered.get(tag) as number;
    const there = this.#scene.model.world.held.has(tag);
    this.#scene.note(`kombu's ${how}`, there);
    this.#scene.note(
      "kombu's stale settlement did nothing",
      !there && this.#scene.model.letter(message).fate === "live",
    );
    peer.delivered.delete(tag);
    if (how === "requeue") this.#scene.model.restored(tag, true);
    else this.#scene.model.acked(tag);
    const { name } = peer;
    await (how === "ack"
      ? this.#call("ack", { name, tag })
      : this.#call("reject", { name, tag, requeue: how === "requeue" }));
    await this.#scene.check(`${name} settles ${tag} as ${how}`);
  }

  /** kombu's sweep looks at instants alone, not at who holds a message. */
  #rob(tag: string): void {
    const owner = ownerOf(tag, this.#scene.ids);
    const restored = this.#scene.model.restored(tag);
    this.#scene.note("kombu's sweep put back what ours held", restored && owner !== undefined);
    this.#scene.note("kombu's sweep put back kombu's", restored && !tag.startsWith("celeriac:"));
    this.#scene.note("kombu's sweep put back what was parked", restored && tag.startsWith("celeriac:park:"));
  }

  async #call<T>(method: string, params: Readonly<Record<string, unknown>>, peer?: Peer): Promise<T> {
    const { python } = this.#scene.parts;
    if (python === undefined) throw new Error("kombu takes no part");
    if (peer !== undefined) await python.call("clock", { seconds: this.#scene.nowOf(peer) / 1000 });
    return await python.call<T>(method, params);
  }
}

const WHICH: Readonly<Record<string, (peer: Peer) => boolean>> = {
  kombuAck: ({ delivered }) => delivered.size > 0,
  kombuReject: ({ delivered }) => delivered.size > 0,
  kombuPop: ({ hand }) => hand === undefined,
  kombuAppend: ({ hand }) => hand !== undefined,
};
