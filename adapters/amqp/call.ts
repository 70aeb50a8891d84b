/**
 * Publishing with a connection for each call, and nothing that outlives it.
 *
 * @module
 */
import type { AMQPBaseClient, AMQPChannel } from "@cloudamqp/amqp-client";
import type {
  Entity,
  Outgoing,
  PublishBroker,
  PublishFeatures,
  PublishOptions,
  Verdict,
} from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import { declareAll } from "./declare.ts";
import { textOf } from "./errors.ts";
import { FRAME_MAX } from "./frames.ts";
import type { Letter } from "./letter.ts";
import { type Line, openLine } from "./line.ts";
import type { CallSettings } from "./options.ts";
import { ownView } from "./own-view.ts";
import { type Post, postBy } from "./post.ts";
import { addressOf, type Roads } from "./roads.ts";
import { notSent, problemOf, unknown } from "./verdict.ts";
import type { Sink } from "./wire.ts";

/** What the sending half can do. */
export function sendingFeatures(link: PublishFeatures["link"], maxMessage: number): PublishFeatures {
  return {
    link,
    confirm: "durable",
    mustRoute: true,
    resends: false,
    exchanges: ["direct", "topic", "fanout"],
    delay: false,
    priority: "high-first",
    maxMessage,
  };
}

/** The sending half whose connections live for one call. Two calls have nothing in common, not even a promise. */
export class CallSender implements PublishBroker {
  readonly transport: string = "amqp";
  // What the constructor sets is only declared: a field that is defined first is code in every bundle.
  declare readonly address: string;
  declare readonly features: PublishFeatures;
  readonly #roads: Roads<Sink, CallSettings>;

  constructor(roads: Roads<Sink, CallSettings>) {
    this.#roads = roads;
    this.address = addressOf(roads);
    this.features = sendingFeatures("call", roads.settings.maxMessage);
  }

  async publish(
    outgoings: readonly Outgoing[],
    { declare = [], signal, deadline }: PublishOptions = {},
  ): Promise<readonly Verdict[]> {
    const { settings } = this.#roads;
    const { platform: { clock }, publishTimeout, maxMessage } = settings;
    const letters = outgoings.map((outgoing): Letter => ({
      outgoing,
      verdict: problemOf(outgoing, maxMessage),
    }));
    const due = letters.filter(({ verdict }) => verdict === undefined);
    const until = deadline ?? clock.now() + publishTimeout;
    const left = (): number => until - clock.now();
    const stop = new AbortController();
    const giveUp = (): void =>
      stop.abort(
        signal?.aborted ? signal.reason : new ConnectionError("broker-timeout", "No answer by the deadline."),
      );
    const timer = clock.after(left(), giveUp);
    signal?.addEventListener("abort", giveUp);
    let declaring = declare.length > 0;
    let line: Line | undefined;
    try {
      if (signal?.aborted || left() <= 0) giveUp();
      if (due.length > 0 || declaring) {
        line = await this.#connect(stop.signal);
        const posts = await line.hold(prepare(line.client, settings, declare, due));
        declaring = false;
        await line.hold(send(line.client, settings, posts, due));
      }
    } catch (error) {
      if (declaring) throw error;
      const reason = textOf(error);
      const blocked = line?.client.blocked;
      const waited = notSent(
        blocked === undefined ? reason : `${reason} It takes no messages: ${blocked}`,
      );
      // What was never written is known not to be stored.
      for (const letter of due) letter.verdict ??= letter.written ? unknown(reason) : waited;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", giveUp);
      await line?.leave(left());
    }
    return letters.map(({ verdict }) => verdict as Verdict);
  }

  /** Each call has closed what it opened. */
  async close(): Promise<void> {}

  /** A connection, after one attempt on every place; throws the last attempt's coded error. */
  async #connect(stop: AbortSignal): Promise<Line> {
    for (let tried = 1;; tried++) {
      stop.throwIfAborted();
      try {
        return await openLine(this.#roads, stop);
      } catch (error) {
        this.#roads.turn++;
        if (tried === this.#roads.targets.length) throw error;
      }
    }
  }
}

/** Declares, and opens a channel for each exchange; all questions leave together. */
async function prepare(
  client: AMQPBaseClient,
  { topology }: CallSettings,
  declare: readonly Entity[],
  due: readonly Letter[],
): Promise<ReadonlyMap<string, Post>> {
  const View = await ownView();
  // A broker without a limit says 0, which the library cannot write by.
  const page = new View(new Uint8Array(client.frameMax ||= FRAME_MAX));
  const exchanges = new Set(due.map(({ outgoing }) => outgoing.to.exchange));
  // Before anything is asked, as nobody would hear of what was asked before.
  if (client.closed || exchanges.size >= (client.channelMax || Infinity)) {
    throw new ConnectionError("channel-closed", "The broker gives no more channels.");
  }
  const posts = new Map<string, Post>();
  const answers: Promise<unknown>[] = [];
  /** A channel to ask on at once. */
  const open = (): AMQPChannel => {
    const { length } = client.channels;
    answers.push(client.channel(length));
    return client.channels[length] as AMQPChannel;
  };
  for (const exchange of exchanges) {
    const channel = open();
    answers.push(channel.confirmSelect());
    posts.set(exchange, postBy(client, channel, page));
  }
  if (declare.length > 0) answers.push(declareAll(declare, topology, open()));
  await Promise.all(answers);
  return posts;
}

/** At most `maxInFlight` wait for their confirm, and none is sent while the broker reads nothing. */
async function send(
  client: AMQPBaseClient,
  { maxInFlight }: CallSettings,
  posts: ReadonlyMap<string, Post>,
  due: readonly Letter[],
): Promise<void> {
  const waiting: (() => void)[] = [];
  client.onunblocked = () => waiting.splice(0).forEach((go) => go());
  const queue = due.values();
  const lanes = due.slice(0, maxInFlight).map(async () => {
    for (const letter of queue) {
      while (client.blocked !== undefined) await new Promise<void>((go) => waiting.push(go));
      await posts.get(letter.outgoing.to.exchange)?.(letter);
    }
  });
  await Promise.all(lanes);
}
