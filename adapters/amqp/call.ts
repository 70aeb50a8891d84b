/**
 * Publishing with a connection for each call, and nothing that outlives it.
 *
 * @module
 */
import type { AMQPBaseClient, AMQPMessage } from "@cloudamqp/amqp-client";
import type {
  Entity,
  Outgoing,
  PublishBroker,
  PublishFeatures,
  PublishOptions,
  Verdict,
} from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import type { Roads } from "./connect.ts";
import { declareAll } from "./declare.ts";
import type { Place } from "./epoch.ts";
import { textOf } from "./errors.ts";
import { FRAME_MAX } from "./frames.ts";
import type { Letter } from "./letter.ts";
import { Line } from "./line.ts";
import type { CallSettings } from "./options.ts";
import { ownView } from "./own-view.ts";
import { Post } from "./post.ts";
import { notSent, problemOf, refused, unknown } from "./verdict.ts";
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
  readonly address: string;
  readonly features: PublishFeatures;
  readonly #roads: Roads<Sink, CallSettings>;
  readonly #propertiesOf: (message: AMQPMessage) => Uint8Array;

  constructor(roads: Roads<Sink, CallSettings>, propertiesOf: (message: AMQPMessage) => Uint8Array) {
    this.#roads = roads;
    this.#propertiesOf = propertiesOf;
    this.address = roads.address;
    this.features = sendingFeatures("call", roads.settings.maxMessage);
  }

  async publish(
    outgoings: readonly Outgoing[],
    { declare = [], signal, deadline }: PublishOptions = {},
  ): Promise<readonly Verdict[]> {
    const { platform: { clock }, publishTimeout, maxMessage } = this.#roads.settings;
    const letters = outgoings.map((outgoing): Letter => {
      const problem = problemOf(outgoing, maxMessage);
      return { outgoing, verdict: problem === undefined ? problem : refused(problem), written: undefined };
    });
    const due = letters.filter(({ verdict }) => verdict === undefined);
    const left = (): number => until - clock.now();
    const until = deadline ?? clock.now() + publishTimeout;
    const stop = new AbortController();
    const late = (): void =>
      stop.abort(new ConnectionError("broker-timeout", "The broker had not answered by the deadline."));
    const abort = (): void => stop.abort(signal?.reason);
    // While something waits, the socket or the connecting keeps the process alive.
    const timer = clock.after(left(), late, { keepAlive: false });
    signal?.addEventListener("abort", abort);
    let declaring = declare.length > 0;
    let line: Line | undefined;
    let client: AMQPBaseClient | undefined;
    try {
      if (signal?.aborted === true) abort();
      else if (left() <= 0) late();
      if (due.length > 0 || declaring) {
        [line, client] = await this.#connect(stop.signal);
        const posts = await line.hold(this.#prepare(line, client, declare, due));
        declaring = false;
        await line.hold(this.#send(client, posts, due));
      }
    } catch (error) {
      if (declaring) throw error;
      const reason = signal?.aborted === true ? "The publish was aborted." : textOf(error);
      const waits = client?.blocked === undefined ? "" : ` It takes no messages: ${client.blocked}.`;
      // What was never written is known not to be stored.
      for (const letter of due) {
        letter.verdict ??= letter.written === undefined ? notSent(reason + waits) : unknown(reason);
      }
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
      await line?.leave(left());
    }
    return letters.map(({ verdict }) => verdict as Verdict);
  }

  /** Each call has closed what it opened. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A connection, after one attempt on every place; throws the last attempt's coded error. */
  async #connect(stop: AbortSignal): Promise<[Line, AMQPBaseClient]> {
    const { places, settings } = this.#roads;
    for (let tried = 1;; tried++) {
      stop.throwIfAborted();
      const line = new Line(settings, stop);
      try {
        return [line, await line.open(places[this.#roads.turn % places.length] as Place<Sink>)];
      } catch (error) {
        this.#roads.turn++;
        if (tried === places.length) throw error;
      }
    }
  }

  /** Declares, and opens a channel for each exchange; all questions leave together. */
  async #prepare(
    line: Line,
    client: AMQPBaseClient,
    declare: readonly Entity[],
    due: readonly Letter[],
  ): Promise<ReadonlyMap<string, Post>> {
    const OwnView = await ownView();
    const page = new OwnView(new Uint8Array(client.frameMax || FRAME_MAX));
    const desk = { client, page, propertiesOf: this.#propertiesOf };
    const exchanges = new Set(due.map(({ outgoing }) => outgoing.to.exchange));
    // Before anything is asked, as nobody would hear of what was asked before.
    if (client.closed || exchanges.size >= (client.channelMax || Infinity)) {
      throw new ConnectionError("channel-closed", "The broker gives no more channels.");
    }
    const posts = new Map<string, Post>();
    const answers: Promise<unknown>[] = [];
    for (const exchange of exchanges) {
      const channel = line.channel(client, answers);
      answers.push(channel.confirmSelect());
      posts.set(exchange, new Post(desk, channel));
    }
    if (declare.length > 0) {
      answers.push(declareAll(declare, this.#roads.settings.topology, line.channel(client, answers)));
    }
    await Promise.all(answers);
    return posts;
  }

  /** At most `maxInFlight` wait for their confirm, and none is sent while the broker reads nothing. */
  async #send(
    client: AMQPBaseClient,
    posts: ReadonlyMap<string, Post>,
    due: readonly Letter[],
  ): Promise<void> {
    const waiting: (() => void)[] = [];
    client.onunblocked = () => waiting.splice(0).forEach((go) => go());
    const queue = due.values();
    const lanes = due.slice(0, this.#roads.settings.maxInFlight).map(async () => {
      for (const letter of queue) {
        while (client.blocked !== undefined) await new Promise<void>((go) => waiting.push(go));
        await posts.get(letter.outgoing.to.exchange)?.send(letter);
      }
    });
    await Promise.all(lanes);
  }
}
