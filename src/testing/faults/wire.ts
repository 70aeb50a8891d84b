/**
 * The way between one node and the server, with what can go wrong on it.
 *
 * @module
 */
import type {
  ClientWord,
  Line,
  Lines,
  LinkEnds,
  Network,
  WorldEvent,
} from "../../../adapters/memory/network.ts";
import type { Confirm } from "../../../adapters/memory/rabbit/event.ts";
import type { Message } from "../../broker.ts";

/** Who is told of what happens on the way. */
export interface WireHost {
  /** The server is about to drop this connection of the node: what it holds goes back. */
  onDrop(connection: number): void;
  /** This publish is refused. */
  onRefused(message: Message): void;
  /** A link was cut because of what was on its way. */
  onTrap(trap: Trap, connection: number): void;
  /** ms since the epoch. */
  now(): number;
  /** Calls back at this instant of time, but later. */
  later(callback: () => void): void;
  /** A number in [0, 1). */
  chance(): number;
}

/** What cuts a link as soon as it is on its way; a delivery still arrives, with the news of the cut behind it. */
export type Trap = "loseAck" | "loseConfirm" | "loseDelivery";

/** One link. */
interface Link {
  readonly ends: LinkEnds;
  readonly lines: Lines;
  /** Learned from its first word; 0 before. */
  connection: number;
  /** Publishes whose confirm has not come, by channel and number. */
  readonly unconfirmed: Map<string, Message>;
  /** Publishes so far, by channel. */
  readonly published: Map<number, number>;
  /** What waits for the way to be open, in either direction. */
  readonly waiting: (() => void)[];
  /** Confirms that wait to be scattered. */
  confirms: Confirm[];
}

/**
 * The same confirms as RabbitMQ might give them: in any order, and several in one word, which names the highest and never covers one with
 * another verdict.
 */
export function scattered(confirms: readonly Confirm[], chance: () => number): readonly Confirm[] {
  let left = [...confirms];
  const words: Confirm[] = [];
  while (left.length > 0) {
    const word = left[Math.floor(chance() * left.length)] as Confirm;
    const covered = left.filter(({ channel, deliveryTag }) =>
      channel === word.channel && deliveryTag <= word.deliveryTag
    );
    const multiple = covered.every(({ is }) => is === word.is) && chance() < 0.5;
    words.push({ ...word, multiple });
    left = left.filter((one) => multiple ? !covered.includes(one) : one !== word);
  }
  return words;
}

const SETTLEMENT = /^basic\.(?:ack|nack|reject)$/;

/** Wraps the network of a node. */
export class Wire implements Network {
  readonly #inner: Network;
  readonly #host: WireHost;
  readonly #links: Map<Lines, Link> = new Map<Lines, Link>();
  readonly #traps: Map<Trap, number> = new Map<Trap, number>();
  /** Connections that were shut here, of which the server has not heard. */
  readonly #leaving: Set<number> = new Set<number>();
  #refusals = 0;
  /** Whether confirms come in any order, and several in one word. */
  scatters = false;
  #severedAt: number | undefined;

  constructor(inner: Network, host: WireHost) {
    this.#inner = inner;
    this.#host = host;
  }

  get stalledAt(): number | undefined {
    return this.#severedAt ?? this.#inner.stalledAt;
  }

  /** The connections that stand, as far as the server knows. */
  get connections(): readonly number[] {
    return [...this.#leaving, ...[...this.#links.values()].map(({ connection }) => connection)];
  }

  /** The messages that were published and whose confirm is still on its way, or not given yet. */
  get unconfirmed(): readonly Message[] {
    return [...this.#links.values()].flatMap(({ unconfirmed }) => [...unconfirmed.values()]);
  }

  /** Breaks all links; with `flushed`, what the server had said still arrives before that is told. */
  cut(options: { readonly flushed?: boolean } = {}): void {
    for (const link of [...this.#links.values()]) this.#cut(link, options);
  }

  /** Links that are opened from now on carry nothing until {@link Wire.mend}. */
  sever(): void {
    this.#severedAt ??= this.#host.now();
  }

  /** What was sent meanwhile goes its way. */
  mend(): void {
    if (this.#severedAt === undefined) return;
    this.#severedAt = undefined;
    for (const { waiting } of this.#links.values()) for (const send of waiting.splice(0)) send();
  }

  /** The next word of this kind does not arrive: its link is cut. */
  arm(trap: Trap): void {
    this.#traps.set(trap, (this.#traps.get(trap) ?? 0) + 1);
  }

  /** The next publishes are refused. */
  refuse(count: number): void {
    this.#refusals += count;
  }

  open(ends: LinkEnds): Lines {
    const inner = this.#inner.open({
      up: (word) => this.#arrives(link, word),
      down: (word) => this.#lands(link, word),
      cut: (options) => this.#cut(link, options),
      vanish: () => ends.vanish(),
    });
    const lines: Lines = {
      up: this.#line(inner.up, () => link, (word) => this.#departs(link, word)),
      down: this.#line(
        inner.down,
        () => link,
        (word) => this.#returns(link, word),
        (word) => this.#sent(link, word),
      ),
    };
    const link: Link = {
      ends,
      lines: inner,
      connection: 0,
      unconfirmed: new Map(),
      published: new Map(),
      waiting: [],
      confirms: [],
    };
    this.#links.set(lines, link);
    return lines;
  }

  shut(lines: Lines): void {
    const link = this.#links.get(lines);
    this.#links.delete(lines);
    if (link === undefined) return;
    this.#leaving.add(link.connection);
    this.#inner.shut(link.lines);
  }

  /** `passes` gives the word that goes on, or nothing; `sent` is told when it does. */
  #line<W extends ClientWord | WorldEvent>(
    inner: Line<W>,
    link: () => Link,
    passes: (word: W) => W | undefined,
    sent: (word: W) => void = () => {},
  ): Line<W> {
    return {
      send: (word) => {
        const passing = passes(word);
        if (passing === undefined) return;
        // A link that broke before is told so all the same.
        const told = "is" in word && word.is === "connection.lost";
        if (this.#severedAt !== undefined && !told) {
          return void link().waiting.push(() => inner.send(passing));
        }
        inner.send(passing);
        sent(passing);
      },
      clear: () => {
        link().waiting.length = 0;
        link().confirms = [];
        inner.clear();
      },
    };
  }

  /** A word leaves the client. */
  #departs(link: Link, word: ClientWord): ClientWord | undefined {
    link.connection = word.connection;
    if (SETTLEMENT.test(word.do) && this.#springs("loseAck", link)) return undefined;
    if (word.do !== "basic.publish" || this.#refusals === 0) return word;
    this.#refusals--;
    this.#host.onRefused(word.message);
    return { ...word, refused: true };
  }

  /** A word comes to the server. */
  #arrives({ ends, published, unconfirmed }: Link, word: ClientWord): void {
    if (word.do === "connection.drop") {
      this.#leaving.delete(word.connection);
      this.#host.onDrop(word.connection);
    }
    if (word.do === "basic.publish") {
      const number = (published.get(word.channel) ?? 0) + 1;
      published.set(word.channel, number);
      unconfirmed.set(`${word.channel}/${number}`, word.message);
    }
    ends.up(word);
  }

  /** A word leaves the server. */
  #returns(link: Link, word: WorldEvent): WorldEvent | undefined {
    if (word.is !== "basic.ack" && word.is !== "basic.nack") return word;
    if (this.#springs("loseConfirm", link)) return undefined;
    if (!this.scatters) return word;
    link.confirms.push(word);
    if (link.confirms.length === 1) this.#host.later(() => this.#scatter(link));
    return undefined;
  }

  #scatter(link: Link): void {
    const words = scattered(link.confirms, () => this.#host.chance());
    link.confirms = [];
    for (const word of words) {
      if (this.#severedAt === undefined) link.lines.down.send(word);
      else link.waiting.push(() => link.lines.down.send(word));
    }
  }

  /** A word comes to the client. */
  #lands({ ends, unconfirmed }: Link, word: WorldEvent): void {
    if (word.is === "basic.ack" || word.is === "basic.nack") {
      const first = word.multiple ? 1 : word.deliveryTag;
      for (let number = first; number <= word.deliveryTag; number++) {
        unconfirmed.delete(`${word.channel}/${number}`);
      }
    }
    ends.down(word);
  }

  #springs(trap: Trap, link: Link): boolean {
    if (!this.#takes(trap)) return false;
    this.#host.onTrap(trap, link.connection);
    this.#cut(link);
    return true;
  }

  /** A word of the server is on its way. */
  #sent(link: Link, word: WorldEvent): void {
    if (word.is !== "basic.deliver" || !this.#takes("loseDelivery")) return;
    this.#host.onTrap("loseDelivery", link.connection);
    this.#cut(link, { flushed: true });
  }

  #takes(trap: Trap): boolean {
    const armed = this.#traps.get(trap) ?? 0;
    if (armed > 0) this.#traps.set(trap, armed - 1);
    return armed > 0;
  }

  /** What the server holds goes back before the client is told. */
  #cut({ connection, ends }: Link, options: { readonly flushed?: boolean } = {}): void {
    this.#host.onDrop(connection);
    ends.cut(options);
  }
}
