/**
 * The client's side of a connection and its channels: answers find their questions, unasked words their listeners.
 *
 * @module
 */
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { type CeleriacError, ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { explained } from "../../src/lib/mismatch.ts";
import type { OnChannelCommand } from "./rabbit/command.ts";
import type { ChannelClose, ChannelEvent, Confirm, ConsumerWord, Deliver, Return } from "./rabbit/event.ts";
import { Ring } from "./rabbit/ring.ts";
import type { Link, Network, WorldEvent } from "./network.ts";
import type { MemoryWorld } from "./world.ts";

/** A command of a channel, not yet told which one. */
type Bare<C> = C extends unknown ? Omit<C, "connection" | "channel"> : never;

/** What goes to a channel, its numbers left out. */
export type BareCommand = Bare<OnChannelCommand>;

/** Who hears what comes unasked. */
export interface ChannelListener {
  onDeliver?(event: Deliver): void;
  onConfirm?(event: Confirm): void;
  onReturn?(event: Return): void;
  /** The queue of this consumer is gone. */
  onCancel?(event: ConsumerWord): void;
  /** The channel is gone; `error` says why: the server's word, or the loss of the link. */
  onClosed?(error: CeleriacError): void;
}

/** The server's refusal as a coded error; the codes are those of the AMQP adapter. */
export function refusal(word: ChannelClose): CeleriacError {
  const text = `The broker refused: ${word.text}.`;
  switch (word.code) {
    case 403:
      return new ConfigurationError("topology-refused", text);
    case 404:
      return new ConfigurationError(
        /no exchange/.test(word.text) ? "exchange-missing" : "queue-missing",
        text,
      );
    case 405:
      return new ConfigurationError("queue-locked", text);
    case 406:
      return explained(new ConfigurationError("topology-mismatch", text)) as CeleriacError;
    default:
      return new ConnectionError("channel-closed", text);
  }
}

/** One channel. */
export class ClientChannel {
  readonly #session: Session;
  readonly #listener: ChannelListener;
  readonly #asked: Ring<Deferred<ChannelEvent>> = new Ring<Deferred<ChannelEvent>>();
  readonly id: number;
  /** Why it is gone; undefined while it stands. */
  gone: CeleriacError | undefined;

  constructor(session: Session, id: number, listener: ChannelListener) {
    this.#session = session;
    this.id = id;
    this.#listener = listener;
  }

  /** The number of its connection. */
  get connection(): number {
    return this.#session.id;
  }

  /** Whether what is sent now arrives, unless the link breaks before it does. */
  get stands(): boolean {
    return this.gone === undefined && this.#session.alive;
  }

  /** Sends what has no answer. */
  post(command: OnChannelCommand): void {
    this.#session.send(command);
  }

  /** Sends, and gives the server's answer; rejects when the channel is closed or lost before it. */
  ask(command: BareCommand): Promise<ChannelEvent> {
    if (this.gone !== undefined) return Promise.reject(this.gone);
    const answer = deferred<ChannelEvent>();
    this.#asked.push(answer);
    this.post({ ...command, connection: this.connection, channel: this.id } as OnChannelCommand);
    return answer.promise;
  }

  /** Closes it and waits for the answer: all that was posted before has arrived then. */
  async close(): Promise<void> {
    if (this.gone !== undefined) return;
    // A link that goes first has done the same.
    await this.ask({ do: "channel.close" }).catch(() => undefined);
    this.lose(new ConnectionError("channel-closed", "The channel was closed."));
    this.#session.forget(this);
  }

  hear(event: ChannelEvent): void {
    switch (event.is) {
      case "basic.deliver":
        return this.#listener.onDeliver?.(event);
      case "basic.ack":
      case "basic.nack":
        return this.#listener.onConfirm?.(event);
      case "basic.return":
        return this.#listener.onReturn?.(event);
      case "basic.cancel":
        return this.#listener.onCancel?.(event);
      case "channel.close":
        this.post({ do: "channel.close-ok", connection: this.connection, channel: this.id });
        this.#session.forget(this);
        return this.lose(refusal(event));
      default:
        this.#asked.shift()?.resolve(event);
    }
  }

  /** The fake does not know a command of ours: whoever waits for its answer learns it. */
  refuse(error: CeleriacError): void {
    this.#asked.shift()?.reject(error);
  }

  lose(error: CeleriacError): void {
    if (this.gone !== undefined) return;
    this.gone = error;
    for (let asked = this.#asked.shift(); asked !== undefined; asked = this.#asked.shift()) {
      asked.reject(error);
    }
    this.#listener.onClosed?.(error);
  }
}

/** One connection. */
export class Session {
  readonly #world: MemoryWorld;
  readonly #link: Link;
  readonly #channels: Map<number, ClientChannel> = new Map<number, ClientChannel>();
  readonly #onLost: (error: CeleriacError) => void;
  readonly #closed: Deferred<void> = deferred<void>();
  #channelIds = 0;
  /** Why the link is gone; undefined while it stands, and until a close in order is answered. */
  #lost: CeleriacError | undefined;
  /** False once it is closed or lost. */
  alive = true;
  /** Whether an alarm keeps the server from reading it, as far as it said. */
  blocked = false;
  /** Resolves when the server has answered, or the link is gone. */
  readonly opened: Promise<void>;
  readonly #opened: Deferred<void> = deferred<void>();
  /** Called when an alarm stops or frees the connection. */
  onBlocked: ((blocked: boolean) => void) | undefined;

  /** `network` carries its words, where the world's own does not. */
  constructor(world: MemoryWorld, onLost: (error: CeleriacError) => void, network?: Network) {
    this.#world = world;
    this.#onLost = onLost;
    this.opened = this.#opened.promise;
    this.#link = world.link({
      onEvent: (event) => this.#hear(event),
      onLost: () => this.#lose(),
    }, network);
  }

  get id(): number {
    return this.#link.id;
  }

  send(command: OnChannelCommand): void {
    this.#link.send(command);
  }

  /** Opens a channel; it can be used at once. On a link that was lost it is lost from the start: who waited for the link may come too late. */
  channel(listener: ChannelListener = {}): ClientChannel {
    const channel = new ClientChannel(this, ++this.#channelIds, listener);
    channel.gone = this.#lost;
    if (this.#lost === undefined) this.#channels.set(channel.id, channel);
    // What comes after it waits in line behind it; a lost link is told to the listener.
    channel.ask({ do: "channel.open" }).catch(() => undefined);
    return channel;
  }

  forget(channel: ClientChannel): void {
    this.#channels.delete(channel.id);
  }

  /** Closes in order: all that was sent before has arrived when it resolves. `lost` hears nothing of it. */
  close(): Promise<void> {
    if (this.alive) {
      this.alive = false;
      this.#link.send({ do: "connection.close", connection: this.id });
    }
    return this.#closed.promise;
  }

  /** Gives the connection up without a word. */
  abandon(): void {
    this.alive = false;
    this.#world.drop(this.#link);
  }

  #hear(event: WorldEvent): void {
    if (event.is === "unsupported") {
      const { command, error } = event;
      if ("channel" in command) this.#channels.get(command.channel)?.refuse(error);
    } else if ("channel" in event) this.#channels.get(event.channel)?.hear(event);
    else if (event.is === "connection.open-ok") this.#opened.resolve();
    else if (event.is === "connection.blocked") this.#block(true);
    else if (event.is === "connection.unblocked") this.#block(false);
  }

  #block(blocked: boolean): void {
    this.blocked = blocked;
    this.onBlocked?.(blocked);
  }

  #lose(): void {
    const expected = !this.alive;
    this.alive = false;
    const error = new ConnectionError("broker-lost", "The connection to the memory broker was lost.");
    this.#lost = error;
    for (const channel of [...this.#channels.values()]) channel.lose(error);
    this.#channels.clear();
    this.#opened.resolve();
    this.#closed.resolve();
    if (!expected) this.#onLost(error);
  }
}
