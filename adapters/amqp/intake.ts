/**
 * A channel that consumes one queue: hands deliveries on, writes their settlements.
 *
 * @module
 */
import type { AMQPChannel, AMQPConsumer, AMQPMessage } from "@cloudamqp/amqp-client";
import { ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { tell } from "../../src/lib/observers.ts";
import { AmqpDelivery, type Origin, SETTLED } from "./delivery.ts";
import type { Epoch } from "./epoch.ts";
import { channelError, sentenceOf } from "./errors.ts";
import { sleep } from "./limit.ts";
import { Ledger } from "./ledger.ts";
import type { Outbox } from "./outbox.ts";
import type { Parking } from "./parking.ts";

/** What an intake tells its consumer. */
export interface IntakeEvents {
  /** Where its messages are put aside. */
  readonly parking: Parking;
  /** A message came. */
  delivered(delivery: AmqpDelivery): void;
  /** The channel is gone; what was not yielded must not be. */
  lost(intake: Intake): void;
}

/** AMQP counts the window in 16 bits; more is no limit, as in Celery. */
const WIDEST = 65_535;

/** One consuming channel, from its opening to its end. */
export class Intake implements Origin {
  readonly queue: string;
  readonly parking: Parking;
  readonly #epoch: Epoch;
  readonly #channel: AMQPChannel;
  readonly #events: IntakeEvents;
  readonly #out: Outbox;
  readonly #ledger: Ledger;
  #watchers: Map<AmqpDelivery, Set<() => void>> | undefined;
  #scheduled = false;
  #tag = "";
  #tags = 0;
  #change: Promise<void> = Promise.resolve();
  #consuming = false;
  #alive = 0;
  /** What came after `stop`. */
  #late: AmqpDelivery[] = [];
  #stopping = false;
  /** Whether the broker knows that we consume no more: once the last delivery is settled the channel may be closed. */
  #idle = false;
  #lost = false;
  #forget: () => void = () => {};
  #stopped: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  readonly #off: Deferred<Error | undefined> = deferred();

  private constructor(queue: string, epoch: Epoch, channel: AMQPChannel, events: IntakeEvents) {
    this.queue = queue;
    this.parking = events.parking;
    this.#epoch = epoch;
    this.#channel = channel;
    this.#events = events;
    this.#out = epoch.out;
    this.#ledger = new Ledger(epoch.out, channel.id, epoch.clock);
  }

  /** Opens the channel; `setPrefetch` begins to consume. */
  static async open(queue: string, epoch: Epoch, events: IntakeEvents): Promise<Intake> {
    const channel = await epoch.channel((reason) => intake.#lose(reason));
    const intake = new Intake(queue, epoch, channel, events);
    intake.#forget = epoch.onLost(() => intake.#lose("the connection was lost"));
    // Straight from the parser: the library would look the consumer up in a microtask for each message.
    channel.deliver = (message) => intake.#take(message);
    return intake;
  }

  /** Resolves when it consumes no more: the error, or undefined where that was wanted. */
  get off(): Promise<Error | undefined> {
    return this.#off.promise;
  }

  /** Whether messages come by it now: consume-ok came, and nothing after it. */
  get consuming(): boolean {
    return this.#consuming && !this.#lost && !this.#stopping;
  }

  get lost(): boolean {
    return this.#lost;
  }

  /** Up to when a message would have come by it, ms since the epoch; 0 where it never consumed. */
  get aliveAt(): number {
    return this.consuming ? this.#epoch.receivedAt : this.#alive;
  }

  /**
   * Begins to consume with a window of `count`, then cancels the consumer of before: RabbitMQ gives a window to each consumer as it
   * begins. What the old one brought stays ours to settle. Rejects with a coded error where the broker refuses.
   */
  setPrefetch(count: number): Promise<void> {
    // One after the other: RabbitMQ 3.10's channel crashes (541) over the cancel of a consumer whose consume-ok is not out yet.
    const change = this.#change.then(() => this.#consume(count));
    this.#change = change.catch(() => {});
    return change;
  }

  async #consume(count: number): Promise<void> {
    if (this.#lost || this.#stopping) return;
    const old = this.#tag;
    const tag = `celeriac-${++this.#tags}`;
    const channel = this.#channel;
    const watcher = {
      setClosed: (error?: Error) => {
        // The end of the channel is told by the channel.
        if (error !== undefined && !channel.closed && this.#tag === tag) this.#cancelled();
      },
    } as unknown as AMQPConsumer;
    // Registered before the question: a cancel may come in one piece with the answer, before the library registers its own.
    channel.consumers.set(tag, watcher);
    this.#tag = tag;
    const answers = [
      channel.basicQos(count > WIDEST ? 0 : count),
      channel.basicConsume(this.queue, { tag, noAck: false }, () => {}).then((own) => {
        if (channel.consumers.get(tag) === own) channel.consumers.set(tag, watcher);
      }),
      ...(old === "" ? [] : [channel.basicCancel(old)]),
    ];
    try {
      await this.#epoch.rpc(Promise.all(answers));
      this.#consuming = true;
    } catch (error) {
      throw channelError({ kind: "queue", name: this.queue }, error);
    }
  }

  settle(delivery: AmqpDelivery, how: "ack" | "reject" | "requeue"): Promise<"settled" | "stale"> {
    this.#watchers?.delete(delivery);
    if (how === "ack") {
      if (!this.#scheduled) {
        this.#scheduled = true;
        this.#out.beforeFlush(() => {
          this.#flush();
          this.#closeWhenDone();
        });
      }
      return this.#ledger.ack(delivery);
    }
    this.#ledger.nack(delivery, how === "requeue");
    this.#closeWhenDone();
    return SETTLED;
  }

  watch(delivery: AmqpDelivery, listener: () => void): () => void {
    const watchers = this.#watchers ??= new Map();
    let listeners = watchers.get(delivery);
    if (listeners === undefined) watchers.set(delivery, listeners = new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  replace(delivery: AmqpDelivery): void {
    const listeners = [...this.#watchers?.get(delivery) ?? []];
    void this.settle(delivery, "ack");
    for (const listener of listeners) tell(listener);
  }

  /**
   * Takes no more messages; those in `unyielded`, and those still on their way, go back. What was settled before has reached the broker
   * when this resolves. The channel stays until the last delivery is settled.
   */
  stop(unyielded: () => readonly AmqpDelivery[]): Promise<void> {
    return this.#stopped ??= this.#stop(unyielded);
  }

  async #stop(unyielded: () => readonly AmqpDelivery[]): Promise<void> {
    this.#alive = this.aliveAt;
    this.#stopping = true;
    if (this.#lost) return;
    this.#flush();
    await this.#change;
    if (this.#lost) return;
    // Nothing else may be asked meanwhile: RabbitMQ owes no cancel-ok where a close follows, and the library then mixes the answers up.
    if (this.#tag !== "") await this.#epoch.rpc(this.#channel.basicCancel(this.#tag));
    this.#idle = true;
    // The answer comes behind all that was settled before.
    this.#ledger.answered();
    // Not before: what goes back to a queue that still has us as its consumer comes again, and counts as one more delivery.
    const back = [...unyielded(), ...this.#late.splice(0)];
    for (const delivery of back) void delivery.settle({ as: "requeue" });
    this.#off.resolve(undefined);
    // An answer on this channel proves that what was written before it was worked through.
    if (this.#ledger.size > 0) await this.#epoch.rpc(this.#channel.basicQos(1));
    else {
      // What goes back goes back by the close as well.
      this.#ledger.answered();
      await this.close();
    }
  }

  /** Closes the channel: the broker has then seen every settlement, and the rest is back in its queue. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.#lost || this.#channel.closed) return;
    this.#flush();
    const writing = this.#ledger.writing();
    if (writing > 0) {
      await this.#epoch.rpc(sleep(writing, this.#epoch.clock));
      if (this.#lost || this.#channel.closed) return;
      this.#flush();
    }
    const answer = this.#epoch.rpc(this.#channel.close());
    this.#lose();
    await answer;
  }

  #take(message: AMQPMessage): void {
    if (this.#lost) return;
    const delivery = new AmqpDelivery(this, message);
    this.#ledger.add(delivery);
    // The answer to basic.consume came just before, in the same read perhaps.
    this.#consuming = true;
    if (!this.#stopping) this.#events.delivered(delivery);
    else if (this.#idle) void delivery.settle({ as: "requeue" });
    else this.#late.push(delivery);
  }

  #flush(): void {
    this.#scheduled = false;
    if (!this.#lost) this.#ledger.flush();
  }

  #closeWhenDone(): void {
    if (this.#idle && this.#ledger.size === 0) void this.close().catch(() => {});
  }

  /** The broker took the consumer away: its queue was deleted, or its node went. */
  #cancelled(): void {
    if (this.#stopping || this.#lost) return;
    this.#alive = this.aliveAt;
    this.#stopping = true;
    this.#idle = true;
    this.#off.resolve(
      new ConnectionError(
        "consumer-cancelled",
        `The broker cancelled the consumer of ${JSON.stringify(this.queue)}.`,
      ),
    );
    this.#closeWhenDone();
  }

  #lose(reason?: string): void {
    if (this.#lost) return;
    this.#alive = this.aliveAt;
    this.#lost = true;
    this.#late = [];
    this.#ledger.lose();
    this.#forget();
    this.#off.resolve(reason === undefined ? undefined : this.#closedError(reason));
    this.#events.lost(this);
    const watchers = this.#watchers;
    this.#watchers = undefined;
    for (const listeners of watchers?.values() ?? []) for (const listener of listeners) tell(listener);
  }

  #closedError(reason: string): ConnectionError {
    const text = sentenceOf(reason)?.text ?? reason;
    return text.includes("acknowledgement")
      ? new ConnectionError(
        "consumer-timeout",
        `A message of ${JSON.stringify(this.queue)} was held for too long: ${text}.`,
        {
          hint:
            "RabbitMQ took all unsettled messages of that queue back; raise its consumer_timeout for such tasks.",
        },
      )
      : new ConnectionError(
        "channel-closed",
        `The broker closed the channel of ${JSON.stringify(this.queue)}: ${text}.`,
      );
  }
}
