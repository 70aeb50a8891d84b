/**
 * A confirm channel for one exchange: numbers what is published and learns from the broker what became of it.
 *
 * @module
 */
import type { AMQPChannel, AMQPMessage } from "@cloudamqp/amqp-client";
import type { Outgoing } from "../../src/broker.ts";
import { EncodeError } from "../../src/errors.ts";
import type { Publication } from "./batch.ts";
import { writePublish } from "./encode.ts";
import type { Epoch } from "./epoch.ts";
import { type Sentence, sentenceOf } from "./errors.ts";
import { readMessage } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { CONFIRMED, fatesAfterClose, NACKED, refused, unknown, UNROUTABLE } from "./verdict.ts";

/** What an outlet tells its publisher. */
export interface OutletEvents {
  /** Some publishes are no longer waited for. */
  freed(): void;
  /** The broker closed the channel; these were not looked at and go again, in this order. */
  closed(again: readonly Publication[]): void;
  /** A message came back: what was declared may be gone. */
  unroutable(): void;
}

/** One channel in confirm mode. */
export class Outlet {
  readonly #epoch: Epoch;
  readonly #channel: AMQPChannel;
  readonly #events: OutletEvents;
  readonly #out: Outbox;
  /** By the broker's sequence number, ascending; also those whose verdict is given, as their confirm is still due. */
  #pending: Map<number, Publication> = new Map();
  /** What came back and whose ack is still due. */
  readonly #returned: Outgoing[] = [];
  #sequence = 0;
  #confirmed = false;
  #closed = false;

  private constructor(epoch: Epoch, channel: AMQPChannel, events: OutletEvents) {
    this.#epoch = epoch;
    this.#channel = channel;
    this.#out = epoch.out;
    this.#events = events;
  }

  /** Opens the channel and selects confirm mode. */
  static async open(epoch: Epoch, events: OutletEvents): Promise<Outlet> {
    const channel = await epoch.channel((reason) => outlet.onClosed(sentenceOf(reason)));
    const outlet = new Outlet(epoch, channel, events);
    // The library keeps a promise and a whole frame buffer for each publish; we keep one small object.
    channel.publishConfirmed = (tag, multiple, nack) => outlet.onConfirm(tag, multiple, nack);
    channel.onReturn = (message) => outlet.onReturn(message);
    await epoch.rpc(channel.confirmSelect());
    return outlet;
  }

  /** Whether it can take more. */
  get closed(): boolean {
    return this.#closed || this.#channel.closed || this.#epoch.lost !== undefined;
  }

  /** Publishes whose confirm is due. */
  get size(): number {
    return this.#pending.size;
  }

  /** Writes one message; it leaves at the end of the tick. */
  publish(publication: Publication): void {
    const { message, to, mustRoute } = publication.outgoing;
    const { exchange, routingKey } = to;
    const { flushes } = this.#out;
    try {
      writePublish(this.#out, this.#channel.id, this.#epoch.frameMax, {
        exchange,
        routingKey,
        mandatory: mustRoute,
      }, message);
    } catch (error) {
      publication.settle(
        refused(error instanceof EncodeError ? error.message : "the message cannot be written as AMQP"),
      );
      return;
    }
    publication.flushes = flushes;
    this.#pending.set(++this.#sequence, publication);
  }

  /** basic.ack and basic.nack: about one, or about all up to it. */
  onConfirm(tag: number, multiple: boolean, nack: boolean): void {
    if (multiple) {
      for (const number of this.#pending.keys()) {
        if (tag !== 0 && number > tag) break;
        this.#confirm(number, nack);
      }
    } else {
      this.#confirm(tag, nack);
    }
    this.#events.freed();
  }

  /**
   * basic.return: it comes before the ack of the same publish and names no number, so it is kept until the ack of a message with the very
   * same bytes. Of several such twins the first one acked takes it; they are interchangeable.
   */
  onReturn(message: AMQPMessage): void {
    this.#events.unroutable();
    const { exchange, routingKey } = message;
    const back: Outgoing = { message: readMessage(message), to: { exchange, routingKey }, mustRoute: true };
    let near: Outgoing | undefined;
    for (const { outgoing } of this.#pending.values()) {
      if (!outgoing.mustRoute || outgoing.to.routingKey !== routingKey) continue;
      if (twins(outgoing, back)) {
        this.#returned.push(back);
        return;
      }
      near ??= outgoing;
    }
    // The broker may have taken a header out (BCC): then the key alone decides.
    if (near !== undefined) this.#returned.push(near);
  }

  /** The broker closed the channel. */
  onClosed(sentence: Sentence | undefined): void {
    // A lost connection comes through `lose`.
    if (this.#closed || this.#epoch.lost !== undefined) return;
    this.#closed = true;
    const waiting = [...this.#pending.values()];
    this.#pending = new Map();
    const fates = fatesAfterClose(
      waiting.map(({ outgoing }) => outgoing),
      sentence ?? { code: 0, text: "the channel was closed" },
      this.#confirmed,
    );
    const again: Publication[] = [];
    for (const [at, publication] of waiting.entries()) {
      const fate = this.#cameBack(publication.outgoing) ? UNROUTABLE : fates[at] ?? "again";
      if (fate !== "again") publication.settle(fate);
      else if (!publication.settled) again.push(publication);
      publication.flushes = undefined;
    }
    this.#events.closed(again);
  }

  /** The connection is lost. What certainly never left goes again; nobody knows about the rest. */
  lose(reason: string): readonly Publication[] {
    this.#closed = true;
    const waiting = [...this.#pending.values()];
    this.#pending = new Map();
    return waiting.filter((publication) => {
      if (publication.flushes === this.#out.flushes) {
        publication.flushes = undefined;
        return !publication.settled;
      }
      publication.settle(this.#cameBack(publication.outgoing) ? UNROUTABLE : unknown(reason));
      return false;
    });
  }

  /** Closes an idle channel; nobody waits for it. */
  retire(): void {
    this.#closed = true;
    void this.#epoch.rpc(this.#channel.close()).catch(() => {});
  }

  #confirm(number: number, nack: boolean): void {
    const publication = this.#pending.get(number);
    if (publication === undefined) return;
    this.#pending.delete(number);
    if (nack) {
      publication.settle(NACKED);
    } else {
      this.#confirmed = true;
      publication.settle(this.#cameBack(publication.outgoing) ? UNROUTABLE : CONFIRMED);
    }
  }

  #cameBack(outgoing: Outgoing): boolean {
    if (this.#returned.length === 0 || !outgoing.mustRoute) return false;
    const at = this.#returned.findIndex((back) => twins(outgoing, back));
    if (at < 0) return false;
    this.#returned.splice(at, 1);
    return true;
  }
}

/** Whether two messages are the same bytes on the wire: the cheap differences first. */
function twins(a: Outgoing, b: Outgoing): boolean {
  if (a === b) return true;
  if (a.to.routingKey !== b.to.routingKey || a.message.body.length !== b.message.body.length) return false;
  if (a.message.properties["correlation_id"] !== b.message.properties["correlation_id"]) return false;
  return sameBytes(identity(a), identity(b));
}

/** A message as the bytes that we would write for it: equal for a message and for what comes back of it. */
function identity({ to, message }: Outgoing): Uint8Array {
  const out = new Outbox(() => {}, () => {});
  writePublish(
    out,
    0,
    Infinity,
    { exchange: to.exchange, routingKey: to.routingKey, mandatory: true },
    message,
  );
  return out.since(0);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
