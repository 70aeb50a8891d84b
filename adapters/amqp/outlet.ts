/**
 * A confirm channel for one exchange: numbers what is published and learns from the broker what became of it.
 *
 * @module
 */
import type { AMQPChannel, AMQPMessage } from "@cloudamqp/amqp-client";
import type { Outgoing } from "../../src/broker.ts";
import { EncodeError } from "../../src/errors.ts";
import { Fifo } from "../../src/lib/queue.ts";
import type { Publication } from "./batch.ts";
import { writeProperties, writePublish } from "./encode.ts";
import type { Epoch } from "./epoch.ts";
import { sentenceOf } from "./errors.ts";
import { Outbox } from "./outbox.ts";
import { CONFIRMED, fatesAfterClose, NACKED, refuse, refused, unknown, UNROUTABLE } from "./verdict.ts";

/** What an outlet needs of its connection, and tells. */
export interface OutletSite {
  readonly epoch: Epoch;
  readonly out: Outbox;
  /** The largest frame. */
  readonly frameMax: number;
  /** The properties of what came back, as bytes. */
  readonly propertiesOf: (message: AMQPMessage) => Uint8Array;
  /** Something changed: there may be room, or a channel to write to. */
  readonly moved: () => void;
  /** A message came back: what was declared may be gone. */
  readonly unroutable: () => void;
}

/** What came back and whose ack is still due. */
interface Returned {
  readonly key: string;
  readonly properties: Uint8Array;
  readonly body: Uint8Array;
}

/** One exchange's channel in confirm mode, opened when something waits and again when the broker closed it. */
export class Outlet {
  readonly #site: OutletSite;
  #channel: AMQPChannel | undefined;
  #opening = false;
  /** By the broker's sequence number, ascending; also those whose verdict is given, as their confirm is still due. */
  #pending: Map<number, Publication> = new Map();
  #returned: Returned[] = [];
  #sequence = 0;
  #confirmed = false;
  /** What is not written yet. */
  readonly waiting: Fifo<Publication> = new Fifo();

  constructor(site: OutletSite) {
    this.#site = site;
  }

  /** Publishes whose confirm is due. */
  get size(): number {
    return this.#pending.size;
  }

  /** Whether it has nothing to do. */
  get idle(): boolean {
    return !this.#opening && this.#pending.size + this.waiting.size === 0;
  }

  /** Writes up to `room` of what waits; it leaves at the end of the turn. */
  send(room: number): void {
    const { out, frameMax } = this.#site;
    const channel = this.#channel;
    if (channel === undefined) {
      if (this.waiting.size > 0 && !this.#opening) void this.#open();
      return;
    }
    while (this.#pending.size < room) {
      const publication = this.waiting.shift();
      if (publication === undefined) return;
      if (publication.settled) continue;
      const { message, to: { exchange, routingKey }, mustRoute } = publication.outgoing;
      const { flushes } = out;
      try {
        writePublish(out, channel.id, frameMax, { exchange, routingKey, mandatory: mustRoute }, message);
      } catch (error) {
        publication.settle(
          refused(error instanceof EncodeError ? error.message : "the message cannot be written as AMQP"),
        );
        continue;
      }
      publication.flushes = flushes;
      this.#pending.set(++this.#sequence, publication);
    }
  }

  /** The connection is lost. What certainly never left is given back; nobody knows about the rest. */
  lose(reason: string): readonly Publication[] {
    const { flushes } = this.#site.out;
    const unsent = this.#forget().filter((publication) => {
      if (publication.flushes !== flushes) {
        publication.settle(this.#cameBack(publication.outgoing) ? UNROUTABLE : unknown(reason));
      }
      publication.flushes = undefined;
      return !publication.settled;
    });
    return [...unsent, ...this.waiting.take(() => true)];
  }

  /** Closes the channel; nobody waits for it. */
  retire(): void {
    const channel = this.#channel;
    this.#forget();
    if (channel !== undefined) void this.#site.epoch.rpc(channel.close()).catch(() => {});
  }

  async #open(): Promise<void> {
    const { epoch, propertiesOf, moved, unroutable } = this.#site;
    this.#opening = true;
    try {
      // Both questions leave together.
      const channel = await epoch.channel((reason) => this.#closed(reason), (channel) => {
        // The library keeps a promise and a whole frame buffer for each publish; we keep one small object.
        channel.publishConfirmed = (tag, multiple, nack) => this.#settle(tag, multiple, nack);
        channel.onReturn = (message) => {
          unroutable();
          this.#comeBack(message.routingKey, propertiesOf(message), message.body ?? new Uint8Array(0));
        };
        return channel.confirmSelect();
      });
      this.#channel = channel;
      this.#opening = false;
      moved();
    } catch (error) {
      this.#opening = false;
      // A lost connection is told by `lose`.
      if (epoch.lost !== undefined) return;
      refuse(this.waiting.take(() => true), error);
    }
  }

  /** All that waits for its confirm, which will not come any more. */
  #forget(): Publication[] {
    const pending = [...this.#pending.values()];
    this.#pending = new Map();
    this.#channel = undefined;
    this.#sequence = 0;
    return pending;
  }

  /** basic.ack and basic.nack: about one, or about all up to it. */
  #settle(tag: number, multiple: boolean, nack: boolean): void {
    if (multiple) {
      for (const number of this.#pending.keys()) {
        if (tag !== 0 && number > tag) break;
        this.#confirm(number, nack);
      }
    } else this.#confirm(tag, nack);
    this.#site.moved();
  }

  #confirm(number: number, nack: boolean): void {
    const publication = this.#pending.get(number);
    if (publication === undefined) return;
    this.#pending.delete(number);
    if (!nack) this.#confirmed = true;
    publication.settle(nack ? NACKED : this.#cameBack(publication.outgoing) ? UNROUTABLE : CONFIRMED);
  }

  /** The broker closed the channel. */
  #closed(reason: string): void {
    const pending = this.#forget();
    const fates = fatesAfterClose(
      pending.map(({ outgoing }) => outgoing),
      sentenceOf(reason) ?? { code: 0, text: "the channel was closed" },
      this.#confirmed,
    );
    const again = pending.filter((publication, at) => {
      const fate = this.#cameBack(publication.outgoing) ? UNROUTABLE : fates[at] ?? "again";
      publication.flushes = undefined;
      if (fate === "again") return true;
      publication.settle(fate);
      return false;
    });
    this.#returned = [];
    this.#confirmed = false;
    this.waiting.putBack(again);
    this.#site.moved();
  }

  /**
   * basic.return: it comes before the ack of the same publish and names no number, so it is kept until the ack of a message with the very
   * same bytes. Of several such twins the first one acked takes it; they are interchangeable.
   */
  #comeBack(key: string, properties: Uint8Array, body: Uint8Array): void {
    const back = { key, properties, body };
    let near: Outgoing | undefined;
    for (const { outgoing } of this.#pending.values()) {
      if (!outgoing.mustRoute || outgoing.to.routingKey !== key) continue;
      if (twins(outgoing, back)) {
        this.#returned.push(back);
        return;
      }
      near ??= outgoing;
    }
    // The broker may have taken a header out (BCC): then the key alone decides.
    if (near !== undefined) {
      this.#returned.push({ ...back, properties: encoded(near.message), body: near.message.body });
    }
  }

  #cameBack(outgoing: Outgoing): boolean {
    const at = outgoing.mustRoute ? this.#returned.findIndex((back) => twins(outgoing, back)) : -1;
    if (at >= 0) this.#returned.splice(at, 1);
    return at >= 0;
  }
}

function twins({ message, to }: Outgoing, { key, properties, body }: Returned): boolean {
  return to.routingKey === key && same(message.body, body) && same(encoded(message), properties);
}

/** A message's properties as the bytes that we write for them. */
export function encoded(message: Outgoing["message"]): Uint8Array {
  const out = new Outbox(() => {}, () => {});
  writeProperties(out, message);
  return out.since(0);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
