/**
 * A confirm channel for the messages of one call to one exchange. An exchange that does not exist closes its own channel only.
 *
 * @module
 */
import type { AMQPBaseClient, AMQPChannel } from "@cloudamqp/amqp-client";
import type { AMQPView } from "@cloudamqp/amqp-client/amqp-view";
import { textOf } from "./errors.ts";
import type { Letter } from "./letter.ts";
import { libraryProperties } from "./own-view.ts";
import { CONFIRMED, NACKED, notSent, refused, unknown, UNROUTABLE } from "./verdict.ts";

/** What is used of the library's inside. */
interface Pool {
  /** The pages to write on; a publish takes the last one. */
  readonly bufferPool: AMQPView[];
}

/** Sends a letter, and fulfils when the broker has answered. */
export type Post = (letter: Letter) => Promise<void>;

/** Posts by this channel. All share a page, as long as the longest frame: what is sent is copied. */
export function postBy(client: AMQPBaseClient, channel: AMQPChannel, page: AMQPView): Post {
  const due = new Set<Letter>();
  let confirmed = false;
  /** Why the broker closed the channel, and whether that is the verdict on what was due then. */
  let closed: string | undefined;
  let certain = false;

  // basic.return: it comes before the ack and names no number, so it is told by its key and its correlation id. Of several such twins the
  // first is as good as any.
  channel.onReturn = ({ routingKey, properties: { correlationId } }) => {
    for (const letter of due) {
      const { message, to, mustRoute } = letter.outgoing;
      const id = message.properties["correlation_id"] || undefined;
      if (letter.verdict === undefined && mustRoute && to.routingKey === routingKey && id === correlationId) {
        letter.verdict = UNROUTABLE;
        return;
      }
    }
  };
  // Called before what is due is rejected. The end of the connection comes this way too, and is told by the line.
  channel.onerror = (reason) => {
    if (!/^channel/.test(reason)) return;
    closed = reason;
    // An exchange that was never there took none of them; of other refusals only a single message is certainly the culprit.
    certain = due.size === 1 || (!confirmed && /\(404\)$/.test(reason));
  };

  return async (letter) => {
    if (closed !== undefined) letter.verdict ??= notSent(closed);
    if (letter.verdict !== undefined) return;
    const { message, to, mustRoute } = letter.outgoing;
    due.add(letter);
    letter.written = true;
    try {
      // The library would write on a view of its own, and make one for each publish that waits.
      (client as unknown as Pool).bufferPool.splice(0, Infinity, page);
      await channel.basicPublish(
        to.exchange,
        to.routingKey,
        message.body,
        libraryProperties(message),
        mustRoute,
      );
      confirmed = true;
      letter.verdict ??= CONFIRMED;
    } catch (error) {
      const text = textOf(error);
      letter.verdict ??= closed !== undefined
        ? (certain ? refused : unknown)(closed)
        : text === "Message rejected"
        ? NACKED
        : /closed/.test(text)
        ? unknown(text)
        : refused(`it cannot be written as AMQP: ${text.slice(0, 120)}`);
    }
    due.delete(letter);
  };
}
