/**
 * A consumer: one lane for each queue, one feed for the reader.
 *
 * @module
 */
import type { Consumer, Delivery, Outgoing, Verdict } from "../../src/broker.ts";
import { type CeleriacError, ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { type Lane, MemoryDelivery } from "./delivery.ts";
import { Feed } from "./feed.ts";
import type { ClientChannel, Session } from "./session.ts";

/** What a consumer needs of its broker. */
export interface ConsumerHost {
  /** The last instant (ms since the epoch) at which something could reach us. */
  reachableAt(): number;
  /** The consuming link as it stands, opened if need be, with the remembered topology restored. */
  session(): Promise<Session>;
  /** Publishes a copy that waits; undefined where that takes too long. What comes of it then is told to `late`. */
  park(outgoing: Outgoing, late: (verdict: Verdict) => void): Promise<Verdict | undefined>;
  /** The consumer has ended and holds nothing any more. */
  onEnded(consumer: MemoryConsumer): void;
  /** The consumer ended by an error. */
  onFatal(error: Error): void;
  /** Until when a message may be parked at most, ms since the epoch. */
  parkedUntil(): number;
  /** Something that was declared is gone. */
  doubt(): void;
}

/** Closings that a new attempt would meet again. */
const LASTING: ReadonlySet<string> = new Set(["queue-missing", "queue-locked", "topology-refused"]);

/** One queue of a consumer, on a channel of its own: what the server closes there hurts no other queue. */
class QueueLane implements Lane {
  readonly queue: string;
  readonly watched: Set<MemoryDelivery> = new Set<MemoryDelivery>();
  readonly channel: ClientChannel;
  readonly #owner: MemoryConsumer;
  readonly #host: ConsumerHost;
  #tag = 0;
  /** Deliveries that were read and are not settled. */
  #held = 0;
  #retired = false;
  /** Whether the server knows all of it: the channel is closed when nothing is held any more, and not before. */
  #left = false;
  /** Whether the server said consume-ok and nothing ended it since. */
  consuming = false;

  constructor(owner: MemoryConsumer, host: ConsumerHost, session: Session, queue: string) {
    this.#owner = owner;
    this.#host = host;
    this.queue = queue;
    this.channel = session.channel({
      onDeliver: (event) => {
        const delivery = new MemoryDelivery(this, event);
        // Sent before the server heard of the cancel.
        if (this.#retired) delivery.putBack();
        else owner.yield(delivery);
      },
      onCancel: (event) => {
        if (event.consumerTag === String(this.#tag)) this.#cancelled();
      },
      onClosed: (error) => {
        this.consuming = false;
        for (const delivery of this.watched) delivery.lose();
        this.watched.clear();
        owner.onLaneClosed(this, error);
      },
    });
  }

  /** Consumes with a new tag, then cancels the old one: in between both windows are open, never none. */
  async consume(prefetch: number): Promise<void> {
    const old = this.#tag;
    const tag = ++this.#tag;
    const answers = [
      this.channel.ask({ do: "basic.qos", prefetch }),
      this.channel.ask({ do: "basic.consume", queue: this.queue, consumerTag: String(tag) }),
    ];
    if (old > 0) answers.push(this.channel.ask({ do: "basic.cancel", consumerTag: String(old) }));
    await Promise.all(answers);
    this.consuming = true;
  }

  /** Takes no more and puts back what was not read; when it resolves, the server knows all of it. */
  async retire(unread: () => readonly MemoryDelivery[]): Promise<void> {
    this.#retired = true;
    this.consuming = false;
    const held = unread();
    try {
      await this.channel.ask({ do: "basic.cancel", consumerTag: String(this.#tag) });
      // Not before: it would come to us again.
      for (const delivery of held) delivery.putBack();
      // What came between the two was put back when it came; this answer comes behind that.
      await this.channel.ask({ do: "basic.qos", prefetch: 0 });
    } catch {
      // The channel is gone, and all that it held is back.
    }
    this.#left = true;
    this.#closeIfDone();
  }

  onRead(): void {
    this.#held++;
  }

  onSettled(): void {
    this.#held--;
    this.#closeIfDone();
  }

  publish(outgoing: Outgoing, late: (verdict: Verdict) => void): Promise<Verdict | undefined> {
    return this.#host.park(outgoing, late);
  }

  get parkedUntil(): number {
    return this.#host.parkedUntil();
  }

  #closeIfDone(): void {
    if (this.#left && this.#held === 0) void this.channel.close();
  }

  /** The queue was deleted: it is declared and consumed again, if it is one of ours. What is held can still be settled. */
  #cancelled(): void {
    this.consuming = false;
    this.#host.doubt();
    this.#host.session().then(() => this.consume(this.#owner.prefetch)).catch((error: unknown) =>
      this.#owner.fail(error)
    );
  }
}

/** A consumer; see the contract in `src/broker.ts`. */
export class MemoryConsumer implements Consumer {
  readonly #host: ConsumerHost;
  readonly #feed: Feed<MemoryDelivery> = new Feed<MemoryDelivery>((delivery) => delivery.lane.onRead());
  /** Undefined until the lane is open. */
  readonly #lanes: Map<string, QueueLane | undefined> = new Map<string, QueueLane | undefined>();
  /** Who waits for the first consume-ok of a queue that is not open yet. */
  readonly #awaited: Map<string, Deferred<void>> = new Map<string, Deferred<void>>();
  #prefetch: number;
  #aliveAt = 0;
  #stopping: Promise<void> | undefined;

  constructor(host: ConsumerHost, queues: readonly string[], prefetch: number) {
    this.#host = host;
    this.#prefetch = prefetch;
    for (const queue of queues) this.#lanes.set(queue, undefined);
    this.attach();
  }

  get prefetch(): number {
    return this.#prefetch;
  }

  get aliveAt(): number {
    const lanes = [...this.#lanes.values()];
    if (lanes.every((lane) => lane?.consuming === true)) this.#aliveAt = this.#host.reachableAt();
    return this.#aliveAt;
  }

  /** Opens the lanes that are not open; a queue that cannot be consumed ends the iteration. */
  attach(): void {
    for (const [queue, lane] of this.#lanes) {
      if (lane === undefined) this.#open(queue).catch((error: unknown) => this.fail(error));
    }
  }

  async add(queue: string): Promise<void> {
    if (this.#feed.ended) throw stopped();
    if (this.#lanes.has(queue)) return await this.#consumed(queue);
    this.#lanes.set(queue, undefined);
    try {
      await this.#open(queue);
    } catch (error) {
      this.#lanes.delete(queue);
      this.#giveUp(error, queue);
      throw error;
    }
  }

  async remove(queue: string): Promise<void> {
    const lane = this.#lanes.get(queue);
    this.#lanes.delete(queue);
    this.#giveUp(stopped(), queue);
    await lane?.retire(() => this.#feed.withdraw((delivery) => delivery.lane === lane));
  }

  async setPrefetch(count: number): Promise<void> {
    if (count === this.#prefetch || this.#feed.ended) return;
    this.#prefetch = count;
    const lanes = [...this.#lanes.values()];
    // A lane that is lost meanwhile is opened again with the new count.
    await Promise.all(lanes.map((lane) => lane?.consume(count).catch(() => undefined) ?? Promise.resolve()));
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery> {
    return this.#feed[Symbol.asyncIterator]();
  }

  /** The broker closes: the iteration ends, and what was not settled goes back with the link. */
  end(): void {
    this.#note();
    this.#lanes.clear();
    this.#giveUp(stopped());
    this.#feed.end();
    this.#stopping ??= Promise.resolve();
  }

  yield(delivery: MemoryDelivery): void {
    this.#feed.push(delivery);
  }

  onLaneClosed(lane: QueueLane, error: CeleriacError): void {
    this.#note();
    this.#feed.withdraw((delivery) => delivery.lane === lane);
    if (this.#lanes.get(lane.queue) !== lane) return;
    this.#lanes.set(lane.queue, undefined);
    // A lost link is opened again by the broker, for all its consumers at once.
    if (error.code === "broker-lost" || LASTING.has(error.code)) return;
    this.attach();
  }

  async #open(queue: string): Promise<void> {
    let session = await this.#host.session();
    // Lost between its last answer and this line.
    while (!session.alive && this.#lanes.has(queue)) session = await this.#host.session();
    // Stopped, removed or opened by somebody else meanwhile.
    if (!this.#lanes.has(queue) || this.#lanes.get(queue) !== undefined) return;
    const lane = new QueueLane(this, this.#host, session, queue);
    this.#lanes.set(queue, lane);
    await lane.consume(this.#prefetch);
    this.#awaited.get(queue)?.resolve();
    this.#awaited.delete(queue);
  }

  /** Resolves when the server has said that this queue is consumed. */
  async #consumed(queue: string): Promise<void> {
    if (this.#lanes.get(queue)?.consuming === true) return;
    const awaited = this.#awaited.get(queue) ?? deferred<void>();
    this.#awaited.set(queue, awaited);
    await awaited.promise;
  }

  /** Who waits for this queue, or for any, is told why in vain. */
  #giveUp(why: unknown, queue?: string): void {
    for (const [name, { reject }] of this.#awaited) {
      if (queue !== undefined && name !== queue) continue;
      this.#awaited.delete(name);
      reject(why);
    }
  }

  async #stop(): Promise<void> {
    this.#note();
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    this.#giveUp(stopped());
    const unread = this.#feed.withdraw(() => true);
    this.#feed.end();
    await Promise.all(
      lanes.map((lane) =>
        lane?.retire(() => unread.filter((delivery) => delivery.lane === lane)) ?? Promise.resolve()
      ),
    );
    this.#host.onEnded(this);
  }

  /** Ends the iteration with an error that a new attempt would meet again. */
  fail(error: unknown): void {
    const { code } = error as CeleriacError;
    // With the link gone the broker attaches us again; other closings were answered by a new lane.
    if (!LASTING.has(code) && code !== "fake-unsupported") return;
    if (this.#feed.ended) return;
    this.#giveUp(error);
    this.#feed.end(error);
    this.#host.onFatal(error as CeleriacError);
    void this.stop();
  }

  /** Keeps the last instant of life, before it ends. */
  #note(): void {
    void this.aliveAt;
  }
}

function stopped(): ConnectionError {
  return new ConnectionError("consumer-stopped", "The consumer was stopped.");
}
