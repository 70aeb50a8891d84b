/**
 * The server that memory brokers speak to: the reducer on a clock, with a network of microtasks around it.
 *
 * @module
 */
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Platform, Timer } from "../../src/lib/port.ts";
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

/** Stands in the line of answers where a command was that the fake does not know: it did nothing. */
export interface Unsupported {
  readonly is: "unsupported";
  readonly connection: number;
  readonly command: Command;
  readonly error: FakeUnsupported;
}

/** One word to a client. */
export type WorldEvent = RabbitEvent | Unsupported;

/** Who listens at the client's end of a connection. */
export interface LinkListener {
  onEvent(event: WorldEvent): void;
  /** The connection is gone; nothing comes any more. */
  onLost(): void;
}

/** The client's end of a connection. */
export interface Link {
  /** The number that commands on it carry. */
  readonly id: number;
  /** Sends; on a lost link it is not heard. */
  send(command: Command & { readonly connection: number }): void;
}

/** After so many ms of microtasks alone, timers and I/O of the process get their turn. */
const BREATH = 20;

/**
 * A server in memory: queues, exchanges and what waits in them. Brokers made with the same world see each other. It does nothing by
 * itself and holds no process open.
 */
export class MemoryWorld {
  /** Time and ids of the world and, unless told otherwise, of its brokers. */
  readonly platform: Platform;
  readonly #rabbit: Rabbit;
  readonly #listeners: Map<number, LinkListener> = new Map<number, LinkListener>();
  #sent: (Command & { readonly connection: number })[] = [];
  /** What the server said since the network was frozen. */
  #held: WorldEvent[] = [];
  #links = 0;
  #pumping = false;
  #frozenAt: number | undefined;
  #due = Infinity;
  #timer: Timer | undefined;
  #breathedAt = 0;
  #breathing = false;

  /** A world with nothing in it. */
  constructor(options: MemoryWorldOptions = {}) {
    this.platform = options.platform ?? systemPlatform;
    this.#rabbit = createRabbit(options.limits);
  }

  /** The largest body, bytes. */
  get maxMessage(): number {
    return this.#rabbit.limits.maxMessage;
  }

  /** The last instant (ms since the epoch) at which something could pass: now, unless the network is frozen. */
  get reachableAt(): number {
    return this.#frozenAt ?? this.platform.clock.now();
  }

  /** @internal Opens a connection. */
  link(listener: LinkListener): Link {
    const id = ++this.#links;
    this.#listeners.set(id, listener);
    const send = (command: Command & { readonly connection: number }): void => {
      if (!this.#listeners.has(id)) return;
      this.#sent.push(command);
      this.#wake();
    };
    send({ do: "connection.open", connection: id });
    return { id, send };
  }

  /** @internal Gives up one connection from the client's side; the server learns it once the network lets it. */
  drop({ id }: Link): void {
    if (!this.#listeners.has(id)) return;
    this.#sent.push({ do: "connection.drop", connection: id });
    this.#lose([id]);
    this.#wake();
  }

  /** Breaks all connections: what was on its way in either direction is lost, unsettled messages return to their queues. */
  cut(): void {
    const links = [...this.#listeners.keys()];
    this.#forget();
    for (const connection of links) this.#step({ do: "connection.drop", connection }, []);
    this.#lose(links);
  }

  /** Restarts the server in order: transient queues, exchanges and messages are gone, the rest is there again. */
  restart(): void {
    const links = [...this.#listeners.keys()];
    this.#forget();
    this.#step({ do: "server.restart" }, []);
    this.#lose(links);
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
    this.#tell(held);
    this.#wake();
  }

  /** What was on its way in either direction is lost. */
  #forget(): void {
    this.#sent = [];
    this.#held = [];
  }

  #wake(): void {
    if (this.#pumping || this.#frozenAt !== undefined) return;
    this.#pumping = true;
    const { clock } = this.platform;
    const elapsed = clock.elapsed();
    if (!this.#breathing) this.#breathe(elapsed);
    if (elapsed - this.#breathedAt < BREATH) clock.soon(() => this.#pump());
    else clock.after(0, () => this.#pump());
  }

  /** Notes when the process last got past the microtasks. */
  #breathe(elapsed: number): void {
    this.#breathing = true;
    this.#breathedAt = elapsed;
    this.platform.clock.after(0, () => this.#breathing = false, { keepAlive: false });
  }

  #pump(): void {
    this.#pumping = false;
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

  #tell(events: readonly WorldEvent[]): void {
    if (this.#frozenAt !== undefined) {
      this.#held.push(...events);
      return;
    }
    for (const event of events) {
      const listener = this.#listeners.get(event.connection);
      if (listener === undefined) continue;
      listener.onEvent(event);
      if (event.is === "connection.close" || event.is === "connection.close-ok") {
        this.#lose([event.connection]);
      }
    }
  }

  #lose(links: readonly number[]): void {
    const lost = links.map((link) => this.#listeners.get(link));
    for (const link of links) this.#listeners.delete(link);
    for (const listener of lost) listener?.onLost();
    this.#arm();
  }

  /** An alarm clock for what happens by time; one that rings early is not worth the setting of a later one. */
  #arm(): void {
    const due = nextDue(this.#rabbit) ?? Infinity;
    if (due >= this.#due) return;
    this.#timer?.cancel();
    this.#due = due;
    const { clock } = this.platform;
    this.#timer = clock.after(Math.max(0, due - clock.now()), () => {
      this.#due = Infinity;
      this.#timer = undefined;
      const out: RabbitEvent[] = [];
      advance(this.#rabbit, this.platform.clock.now(), out);
      this.#tell(out);
      this.#arm();
    }, { keepAlive: false });
  }
}
