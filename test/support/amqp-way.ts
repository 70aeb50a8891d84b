/**
 * A node's way to a RabbitMQ through a proxy that reads along: it knows what the broker has handed out by it, and can lose, bend and
 * reorder single frames.
 *
 * @module
 */
import type { Confirm } from "../../adapters/memory/rabbit/event.ts";
import { scattered } from "../../src/testing/faults/wire.ts";
import {
  channelOf,
  confirmFrame,
  correlationOf,
  type Frame,
  Frames,
  namedBy,
  publishTo,
  tagOf,
} from "./amqp-frames.ts";
import type { Direction, Proxy, ProxyLink } from "./proxy.ts";

/** What cuts a link as soon as it is on its way. */
export type Trap = "loseAck" | "loseConfirm";

/** Who is told of what happens on the way. */
export interface WayHost {
  /** A link is cut because of what was on it; by it these tasks had come, and were not settled. */
  onTrap(trap: Trap, held: readonly string[]): void;
  /** A publish of this task is refused. */
  onRefused(task: string): void;
  /** A number in [0, 1). */
  chance(): number;
}

/** What is known of one channel. */
interface Channel {
  /** Publishes so far, and those whose confirm has not been passed on. */
  published: number;
  readonly unconfirmed: Set<number>;
  /** Confirms that wait until all of them are here. */
  confirms: Confirm[];
  /** What was handed out and not settled: the task, by tag. */
  readonly held: Map<number, string>;
  /** What the next content header belongs to. */
  next: { readonly tag: number } | "refused" | undefined;
}

interface Link {
  readonly up: Frames;
  readonly down: Frames;
  readonly channels: Map<number, Channel>;
}

const PUBLISH = "60.40";
const DELIVER = "60.60";
/** basic.ack, basic.reject, basic.nack. */
const VERDICT = /^60\.(?:80|90|120)$/;

/** See the module. */
export class AmqpWay {
  readonly #host: WayHost;
  readonly #links: Map<ProxyLink, Link> = new Map();
  readonly #armed: Record<Trap, number> = { loseAck: 0, loseConfirm: 0 };
  #refusals = 0;
  #full = "";
  /** Whether confirms come in any order, and several in one word. */
  scatters = false;

  constructor(proxy: Proxy, host: WayHost) {
    this.#host = host;
    proxy.rewrite = (direction, bytes, link) => this.#pass(direction, bytes, link);
  }

  /** The next settlement, or confirm, does not arrive: its link is cut. */
  arm(trap: Trap): void {
    this.#armed[trap]++;
  }

  /** The next publishes are led to a queue that is full and refuses what it cannot take: RabbitMQ itself says no, with a nack. */
  refuse(count: number, full: string): void {
    this.#refusals += count;
    this.#full = full;
  }

  /** Tasks whose messages were handed out by a link, or by all, and whose settlements have not come by. */
  held(link?: ProxyLink): readonly string[] {
    const links = link === undefined ? [...this.#links.values()] : [this.#links.get(link)];
    return links.flatMap((one) =>
      [...one?.channels.values() ?? []].flatMap(({ held }) => [...held.values()])
    );
  }

  /** Its links are broken. */
  forget(): void {
    this.#links.clear();
  }

  #pass(direction: Direction, bytes: Uint8Array, proxied: ProxyLink): Uint8Array {
    let link = this.#links.get(proxied);
    if (link === undefined) {
      this.#links.set(proxied, link = { up: new Frames(), down: new Frames(), channels: new Map() });
    }
    const passed: Uint8Array[] = [];
    for (const one of link[direction].push(bytes)) {
      const channel = /^(?:greeting|heartbeat|body)$/.test(one.method)
        ? undefined
        : this.#channel(link, channelOf(one.frame));
      if (VERDICT.test(one.method) && this.#springs(direction, proxied)) return new Uint8Array();
      if (channel === undefined) passed.push(one.frame);
      else if (direction === "up") passed.push(this.#up(channel, one));
      else passed.push(...this.#down(channel, one));
    }
    return Buffer.concat(passed);
  }

  #channel({ channels }: Link, number: number): Channel {
    let channel = channels.get(number);
    if (channel === undefined) {
      channel = { published: 0, unconfirmed: new Set(), confirms: [], held: new Map(), next: undefined };
      channels.set(number, channel);
    }
    return channel;
  }

  #up(channel: Channel, one: Frame): Buffer {
    const { frame, method } = one;
    if (VERDICT.test(method)) {
      const { multiple, tag } = namedBy(one);
      for (const each of [...channel.held.keys()]) {
        if (each === tag || (multiple && each < tag)) channel.held.delete(each);
      }
    } else if (method === PUBLISH) {
      channel.unconfirmed.add(++channel.published);
      if (this.#refusals > 0) {
        this.#refusals--;
        channel.next = "refused";
        return publishTo(this.#full, frame);
      }
    } else if (method === "header" && channel.next === "refused") {
      channel.next = undefined;
      this.#host.onRefused(correlationOf(frame));
    }
    return frame;
  }

  #down(channel: Channel, one: Frame): readonly Buffer[] {
    const { frame, method } = one;
    if (method === DELIVER) channel.next = { tag: tagOf(frame) };
    else if (method === "header" && typeof channel.next === "object") {
      channel.held.set(channel.next.tag, correlationOf(frame));
      channel.next = undefined;
    } else if (VERDICT.test(method)) return this.#confirmed(channel, one);
    return [frame];
  }

  #confirmed(channel: Channel, one: Frame): readonly Buffer[] {
    const { multiple, tag } = namedBy(one);
    const named = [...channel.unconfirmed].filter((each) => each === tag || (multiple && each < tag));
    for (const each of named) channel.unconfirmed.delete(each);
    if (!this.scatters && channel.confirms.length === 0) return [one.frame];
    const is = one.method === "60.80" ? "basic.ack" : "basic.nack";
    channel.confirms.push(...named.map((deliveryTag): Confirm => ({
      ...{ is, connection: 0, channel: channelOf(one.frame), deliveryTag, multiple: false },
    })));
    // All that was published is answered, and its answers are here: none of them is waited for in vain.
    if (channel.unconfirmed.size > 0) return [];
    const words = scattered(channel.confirms, () => this.#host.chance());
    channel.confirms = [];
    return words.map(confirmFrame);
  }

  #springs(direction: Direction, link: ProxyLink): boolean {
    const trap = direction === "up" ? "loseAck" : "loseConfirm";
    if (this.#armed[trap] === 0) return false;
    this.#armed[trap]--;
    const held = this.held(link);
    this.#links.delete(link);
    link.cut();
    this.#host.onTrap(trap, held);
    return true;
  }
}
