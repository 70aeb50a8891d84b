/**
 * The server that memory brokers speak to: the reducer on a clock, with a network of microtasks around it.
 *
 * @module
 */
import type { Message } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform } from "../../src/lib/port.ts";
import { AlarmClock } from "./alarm-clock.ts";
import type { ClientWord, Link, LinkListener, Network, Peer, WorldEvent } from "./network.ts";
import { Pump } from "./pump.ts";
import type { Command } from "./rabbit/command.ts";
import type { RabbitEvent } from "./rabbit/event.ts";
import { FakeUnsupported } from "./rabbit/fault.ts";
import type { Limits, Rabbit } from "./rabbit/rabbit.ts";
import { advance, apply, createRabbit, nextDue } from "./rabbit/reducer.ts";

/** How a world is made. */
export interface MemoryWorldOptions {
  /**
   * Time and ids.
   *
   * @default the system's
   */
  readonly platform?: Platform;
  /**
   * What the server allows: `maxMessage` (bytes), `consumerTimeout` and `channelTick` (ms).
   *
   * @default RabbitMQ 3.10's: 128 MiB, 30 minutes, one minute
   */
  readonly limits?: Partial<Limits>;
}

/** One queue of a world. */
export interface QueueFacts {
  /** Its name. */
  readonly name: string;
  /** Messages that wait in it. */
  readonly ready: number;
  /** Messages that were handed out and not settled. */
  readonly unacked: number;
  /** Who takes from it. */
  readonly consumers: number;
}

/** Words after which nothing comes. */
const ENDS: ReadonlySet<WorldEvent["is"]> = new Set([
  "connection.close",
  "connection.close-ok",
  "connection.lost",
]);

/**
 * A server in memory: queues, exchanges and what waits in them. Brokers made with the same world see each other. It does nothing by
 * itself and holds no process open.
 */
export class MemoryWorld {
  /** Time and ids of the world and, unless told otherwise, of its brokers. */
  readonly platform: Platform;
  readonly #rabbit: Rabbit;
  readonly #peers: Map<number, Peer> = new Map<number, Peer>();
  #sent: ClientWord[] = [];
  /** What the server said since the network was frozen. */
  #held: WorldEvent[] = [];
  #links = 0;
  #frozenAt: number | undefined;
  readonly #pump: Pump;
  readonly #alarm: AlarmClock;
  /** Of a look at the instant, before the step that takes place at it: told with that. */
  #early: WorldEvent[] = [];

  /** A world with nothing in it. */
  constructor(options: MemoryWorldOptions = {}) {
    this.platform = options.platform ?? systemPlatform;
    this.#rabbit = createRabbit(options.limits);
    this.#pump = new Pump(this.platform.clock, () => this.#read());
    this.#alarm = new AlarmClock(this.platform.clock, () => {
      const out: RabbitEvent[] = [];
      advance(this.#rabbit, this.platform.clock.now(), out);
      this.#tell(out);
      this.#arm();
    });
  }

  /** The largest body, bytes. */
  get maxMessage(): number {
    return this.#rabbit.limits.maxMessage;
  }

  /** Since when (ms since the epoch) nothing passes; undefined while something does. */
  get frozenAt(): number | undefined {
    return this.#frozenAt;
  }

  /** Messages that wait outside every queue for their instant. */
  get parked(): number {
    return this.#rabbit.delayed.size;
  }

  /** The queues that there are, by name, and what is in them. */
  get queues(): readonly QueueFacts[] {
    return [...this.#rabbit.queues.values()].map(({ name, ready, turns, unacked }) => ({
      name,
      ready: ready.size,
      unacked,
      consumers: turns.size,
    })).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** The names of the queues that a message for this exchange and key comes into. */
  route(exchange: string, routingKey: string): readonly string[] {
    return (this.#rabbit.route(exchange, routingKey) ?? []).map(({ name }) => name);
  }

  /** @internal Opens a connection; its words travel by `network`, or without one in microtasks. */
  link(listener: LinkListener, network?: Network): Link {
    const id = ++this.#links;
    const peer: Peer = { listener, lines: undefined, network };
    this.#peers.set(id, peer);
    peer.lines = network?.open({
      up: (word) => this.#arrive(word),
      down: (word) => this.#land(word),
      cut: (options) => this.#cut(id, peer, options?.flushed === true),
      vanish: () => this.#leave(id, peer),
    });
    const send = (word: ClientWord): void => {
      if (!this.#peers.has(id)) return;
      if (peer.lines !== undefined) return peer.lines.up.send(word);
      this.#sent.push(word);
      this.#wake();
    };
    send({ do: "connection.open", connection: id });
    return { id, send };
  }

  /** @internal Gives up one connection from the client's side; the server learns it once the network lets it. */
  drop({ id }: Link): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#leave(id, peer);
    peer.listener.onLost();
    this.#arm();
  }

  /** Breaks all connections: what was on its way in either direction is lost, unsettled messages return to their queues. */
  cut(): void {
    const peers = this.#forget();
    for (const [connection] of peers) this.#step({ do: "connection.drop", connection }, []);
    this.#loseAll(peers);
  }

  /**
   * Restarts the server in order: transient queues, exchanges and messages are gone, the rest is there again. Over a network of its own, what
   * the server had said still arrives.
   */
  restart(): void {
    const peers = this.#forget({ flushed: true });
    this.#step({ do: "server.restart" }, []);
    this.#loseAll(peers);
  }

  /**
   * The server dies without a word and starts again. What is durable, persistent and confirmed is there, and says that it was handed out
   * before, as on RabbitMQ after `kill -9`. `lost` are messages that had not come to the disk, the very objects that were published;
   * `unwritten` says of queues, by name, how many of the last settlements had not, where the world remembers them: these messages are there
   * again.
   */
  crash(
    options: { readonly lost?: ReadonlySet<Message>; readonly unwritten?: ReadonlyMap<string, number> } = {},
  ): void {
    const { lost = new Set<Message>(), unwritten = new Map<string, number>() } = options;
    const peers = this.#forget();
    this.#step({ do: "server.crash", lost, unwritten }, []);
    this.#loseAll(peers);
  }

  /** @internal From now on it remembers, of each queue, what was settled last: a crash may undo that. Else what is settled is let go. */
  remember(): void {
    this.#rabbit.remembers = true;
  }

  /** @internal By queue, settled messages whose settlement may not have come to the disk, in the order in which it was heard. */
  unwritten(): Map<string, readonly Message[]> {
    advance(this.#rabbit, this.platform.clock.now(), this.#early as RabbitEvent[]);
    const settled = [...this.#rabbit.queues.values()].map((queue) =>
      [queue.name, [...queue.unwritten()].map(({ entry }) => entry.message)] as const
    );
    return new Map(settled.filter(([, messages]) => messages.length > 0));
  }

  /** @internal Messages that were delivered on these connections and are not settled, as far as the server knows. */
  unsettled(connections: Iterable<number>): Message[] {
    // What is due at this instant is handed out by the next step, whatever that is.
    advance(this.#rabbit, this.platform.clock.now(), this.#early as RabbitEvent[]);
    const messages: Message[] = [];
    for (const id of connections) {
      for (const channel of this.#rabbit.connections.get(id)?.channels.values() ?? []) {
        for (const { entry } of channel.outstanding()) messages.push(entry.message);
      }
    }
    return messages;
  }

  /** Turns a resource alarm on or off: while one is on, a connection that publishes is not read any more. */
  alarm(resource: "memory" | "disk", on: boolean): void {
    const out: WorldEvent[] = [];
    this.#step({ do: "server.alarm", resource, on }, out);
    this.#tell(out);
    this.#arm();
  }

  /** From now on nothing passes in either direction, and nobody is told; the server's own time goes on. */
  freeze(): void {
    this.#frozenAt ??= this.platform.clock.now();
  }

  /** Ends {@link freeze}: what was sent meanwhile arrives. */
  thaw(): void {
    if (this.#frozenAt === undefined) return;
    this.#frozenAt = undefined;
    const held = this.#held;
    this.#held = [];
    for (const event of held) this.#land(event);
    this.#wake();
  }

  /** What was on its way in either direction is lost. */
  #forget({ flushed = false } = {}): [number, Peer][] {
    this.#sent = [];
    this.#held = [];
    this.#early = [];
    for (const { lines } of this.#peers.values()) {
      lines?.up.clear();
      if (!flushed) lines?.down.clear();
    }
    return [...this.#peers];
  }

  /** The client's end is gone: the server learns it behind what was sent before. */
  #leave(id: number, { lines, network }: Peer): void {
    this.#peers.delete(id);
    const word: ClientWord = { do: "connection.drop", connection: id };
    if (lines !== undefined) {
      lines.up.send(word);
      network?.shut(lines);
    } else {
      this.#sent.push(word);
      this.#wake();
    }
  }

  #cut(id: number, { lines }: Peer, flushed: boolean): void {
    if (!this.#peers.has(id)) return;
    lines?.up.clear();
    if (!flushed) lines?.down.clear();
    const out: WorldEvent[] = this.#early.splice(0);
    this.#step({ do: "connection.drop", connection: id }, out);
    this.#tell(out);
    lines?.down.send({ is: "connection.lost", connection: id });
    this.#arm();
  }

  /** A word that came by a network of its own. */
  #arrive(word: ClientWord): void {
    if (this.#frozenAt !== undefined) {
      this.#sent.push(word);
      return;
    }
    const out: WorldEvent[] = this.#early.splice(0);
    this.#step(word, out);
    this.#tell(out);
    this.#arm();
  }

  #wake(): void {
    if (this.#frozenAt === undefined) this.#pump.wake();
  }

  /** What was sent without a network of its own. */
  #read(): void {
    if (this.#frozenAt !== undefined) return;
    const sent = this.#sent;
    this.#sent = [];
    const out: WorldEvent[] = [];
    const now = this.platform.clock.now();
    for (const command of sent) this.#step(command, out, now);
    advance(this.#rabbit, now, out as RabbitEvent[]);
    this.#tell(out);
    this.#arm();
  }

  #step(command: Command, out: WorldEvent[], now: number = this.platform.clock.now()): void {
    try {
      // What the reducer appends are events of its own kind only.
      apply(this.#rabbit, command, now, out as RabbitEvent[]);
    } catch (error) {
      if (!(error instanceof FakeUnsupported) || !("connection" in command)) throw error;
      out.push({ is: "unsupported", connection: command.connection, command, error });
    }
  }

  /** What has lines of its own travels by them; what goes without is heard at once. */
  #tell(events: readonly WorldEvent[]): void {
    for (const event of events) {
      const peer = this.#peers.get(event.connection);
      if (peer?.lines === undefined) this.#land(event);
      else peer.lines.down.send(event);
    }
  }

  /** An event has come to its client. */
  #land(event: WorldEvent): void {
    if (this.#frozenAt !== undefined) {
      this.#held.push(event);
      return;
    }
    const peer = this.#peers.get(event.connection);
    if (peer !== undefined) this.#hear(peer, event);
  }

  #hear({ listener }: Peer, event: WorldEvent): void {
    if (event.is !== "connection.lost") listener.onEvent(event);
    if (ENDS.has(event.is)) this.#lose([event.connection]);
  }

  /** Those with lines of their own learn it by them. */
  #loseAll(peers: readonly (readonly [number, Peer])[]): void {
    for (const [connection, { lines }] of peers) lines?.down.send({ is: "connection.lost", connection });
    this.#lose(peers.flatMap(([id, { lines }]) => lines === undefined ? [id] : []));
  }

  #lose(links: readonly number[]): void {
    const lost = links.map((link) => this.#peers.get(link));
    for (const link of links) this.#peers.delete(link);
    for (const peer of lost) {
      if (peer?.lines !== undefined) peer.network?.shut(peer.lines);
      peer?.listener.onLost();
    }
    this.#arm();
  }

  #arm(): void {
    this.#alarm.set(nextDue(this.#rabbit));
  }
}
