/**
 * A confirm channel for the messages of one call to one exchange. An exchange that does not exist closes its own channel only.
 *
 * @module
 */
import type { AMQPBaseClient, AMQPChannel, AMQPMessage } from "@cloudamqp/amqp-client";
import { sentenceOf, textOf } from "./errors.ts";
import type { Letter } from "./letter.ts";
import type { OwnView } from "./own-view.ts";
import { CONFIRMED, NACKED, notSent, refused, unknown, UNROUTABLE } from "./verdict.ts";

/** What it writes with. */
export interface Desk {
  readonly client: AMQPBaseClient;
  /** As long as the longest frame; one for all, as what is sent is copied. */
  readonly page: OwnView;
  /** The properties of what came back, as bytes. */
  readonly propertiesOf: (message: AMQPMessage) => Uint8Array;
}

/** One exchange's channel. */
export class Post {
  readonly #desk: Desk;
  readonly #channel: AMQPChannel;
  /** By the broker's sequence number: those whose confirm is due, and who waits for it. */
  readonly #due: Map<number, readonly [Letter, () => void]> = new Map();
  #sequence = 0;
  #confirmed = false;
  /** Why the broker closed the channel. */
  #closed: string | undefined;

  constructor(desk: Desk, channel: AMQPChannel) {
    this.#desk = desk;
    this.#channel = channel;
    // The library keeps a promise and a whole frame buffer for each publish, and numbers what is published through it only.
    channel.publishConfirmed = (tag, multiple, nack) => this.#confirm(tag, multiple, nack);
    channel.onReturn = (message) => this.#comeBack(message);
    channel.onerror = (reason) => this.#close(reason);
  }

  /** Sends it; fulfils when the broker has answered. */
  async send(letter: Letter): Promise<void> {
    if (this.#closed !== undefined) letter.verdict ??= notSent(this.#closed);
    if (letter.verdict !== undefined) return;
    const { client, page } = this.#desk;
    try {
      letter.written = page.write(letter.outgoing, this.#channel.id, (bytes) => void client.send(bytes));
    } catch (error) {
      letter.verdict = refused(`it cannot be written as AMQP: ${textOf(error).slice(0, 120)}`);
      return;
    }
    await new Promise<void>((done) => this.#due.set(++this.#sequence, [letter, done]));
  }

  /** basic.ack and basic.nack: about one, or about all up to it. */
  #confirm(tag: number, multiple: boolean, nack: boolean): void {
    this.#confirmed ||= !nack;
    for (const [number, [letter, done]] of this.#due) {
      if (multiple ? tag !== 0 && number > tag : number !== tag) continue;
      this.#due.delete(number);
      letter.verdict ??= nack ? NACKED : CONFIRMED;
      done();
    }
  }

  /**
   * basic.return: it comes before the ack and names no number, so it is told by its bytes; of several such twins the first is as good as
   * any. The broker may have taken a header out (BCC): then the key alone decides.
   */
  #comeBack(message: AMQPMessage): void {
    const properties = this.#desk.propertiesOf(message);
    const near = [...this.#due.values()].map(([letter]) => letter).filter(({ outgoing, verdict }) =>
      verdict === undefined && outgoing.mustRoute && outgoing.to.routingKey === message.routingKey
    );
    const twin =
      near.find(({ outgoing, written }) =>
        same(written, properties) && same(outgoing.message.body, message.body)
      ) ?? near[0];
    if (twin !== undefined) twin.verdict = UNROUTABLE;
  }

  /** The broker closed the channel. The end of the connection comes this way too, and is told by the line. */
  #close(reason: string): void {
    const sentence = sentenceOf(reason);
    if (sentence === undefined || !reason.startsWith("channel")) return;
    this.#closed = `the broker closed the channel: ${sentence.text} (${sentence.code})`;
    const due = [...this.#due.values()];
    this.#due.clear();
    // An exchange that was never there took none of them; of other refusals only a single message is certainly the culprit.
    const certain = due.length === 1 || (sentence.code === 404 && !this.#confirmed);
    for (const [letter, done] of due) {
      letter.verdict ??= (certain ? refused : unknown)(this.#closed);
      done();
    }
  }
}

function same(a: Uint8Array | undefined, b: Uint8Array | null): boolean {
  return a?.length === b?.length && a?.every((byte, at) => byte === b?.[at]) === true;
}
