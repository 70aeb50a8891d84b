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
      writePublish(this.#out, this.#channel.id, this.#epoch.frameMax, { exchange, routingKey, mandatory: mustRoute }, message);
    } catch (error) {
      publication.settle(refused(error instanceof EncodeError ? error.message : "the message cannot be written as AMQP"));
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
   * basic.return: it comes before the ack of the same publish, in the order of publishing, and names no number. It is laid to the first
   * publish that waits with the very same bytes; such twins are interchangeable.
   */
  onReturn(message: AMQPMessage): void {
    this.#events.unroutable();
    const back = readMessage(message);
    const { exchange, routingKey } = message;
    const twin = identity({ exchange, routingKey }, back);
    let near: Publication | undefined;
    for (const publication of this.#pending.values()) {
      const { outgoing } = publication;
      if (publication.returned || !outgoing.mustRoute || outgoing.to.routingKey !== routingKey) continue;
      if (sameBytes(twin, identity(outgoing.to, outgoing.message))) {
        publication.returned = true;
        return;
      }
      near ??= publication;
    }
    // The broker may have taken a header out (BCC): then the key alone decides.
    if (near !== undefined) near.returned = true;
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
      const fate = fates[at] ?? "again";
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
      publication.settle(unknown(reason));
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
      // A nacked one was not returned: the return belongs to a twin that is still waiting.
      if (publication.returned) this.#handOn(publication);
      publication.settle(NACKED);
    } else {
      this.#confirmed = true;
      publication.settle(publication.returned ? UNROUTABLE : CONFIRMED);
    }
  }

  #handOn(nacked: Publication): void {
    const { to, message } = nacked.outgoing;
    const twin = identity(to, message);
    for (const publication of this.#pending.values()) {
      const { outgoing } = publication;
      if (publication.returned || !outgoing.mustRoute) continue;
      if (!sameBytes(twin, identity(outgoing.to, outgoing.message))) continue;
      publication.returned = true;
      return;
    }
  }
}

/** A message as the bytes that we would write for it: equal for a message and for what comes back of it. */
function identity(to: { readonly exchange: string; readonly routingKey: string }, message: Outgoing["message"]): Uint8Array {
  const out = new Outbox(() => {}, () => {});
  writePublish(out, 0, Infinity, { exchange: to.exchange, routingKey: to.routingKey, mandatory: true }, message);
  return out.since(0);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
