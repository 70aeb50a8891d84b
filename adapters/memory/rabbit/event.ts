/**
 * What the server tells its clients, named as the AMQP methods are.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";

interface ToConnection {
  readonly connection: number;
}

interface ToChannel extends ToConnection {
  readonly channel: number;
}

/** A message for a consumer. */
export interface Deliver extends ToChannel {
  readonly is: "basic.deliver";
  readonly consumerTag: string;
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly message: Message;
}

/** The answer of a `basic.get` that found something. */
export interface GetOk extends ToChannel {
  readonly is: "basic.get-ok";
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly message: Message;
  /** Ready messages left. */
  readonly messageCount: number;
}

/** A mandatory message that no queue took; comes before its confirmation. `message` is the very object that was published. */
export interface Return extends ToChannel {
  readonly is: "basic.return";
  readonly code: number;
  readonly text: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly message: Message;
}

/** A publisher confirmation: the server has the message (ack) or certainly not (nack). */
export interface Confirm extends ToChannel {
  readonly is: "basic.ack" | "basic.nack";
  readonly deliveryTag: number;
  readonly multiple: boolean;
}

/** The answer of a declare. */
export interface QueueDeclareOk extends ToChannel {
  readonly is: "queue.declare-ok";
  readonly queue: string;
  readonly messageCount: number;
  readonly consumerCount: number;
}

/** How many messages went. */
export interface QueueGone extends ToChannel {
  readonly is: "queue.purge-ok" | "queue.delete-ok";
  readonly messageCount: number;
}

/** The answer of a consume or cancel; `basic.cancel` comes unasked when the queue is gone. */
export interface ConsumerWord extends ToChannel {
  readonly is: "basic.consume-ok" | "basic.cancel-ok" | "basic.cancel";
  readonly consumerTag: string;
}

/** An answer without content. */
export interface Done extends ToChannel {
  readonly is:
    | "channel.open-ok"
    | "channel.close-ok"
    | "confirm.select-ok"
    | "exchange.declare-ok"
    | "exchange.delete-ok"
    | "queue.bind-ok"
    | "queue.unbind-ok"
    | "basic.qos-ok"
    | "basic.recover-ok"
    | "basic.get-empty";
}

/** The server closes the channel: code 403, 404, 405 or 406. All its unacked messages are back. */
export interface ChannelClose extends ToChannel {
  readonly is: "channel.close";
  readonly code: number;
  readonly text: string;
}

/** The connection is open, closed in order, blocked by an alarm, or not blocked any more. */
export interface ConnectionWord extends ToConnection {
  readonly is: "connection.open-ok" | "connection.close-ok" | "connection.blocked" | "connection.unblocked";
}

/** The server closes the connection. */
export interface ConnectionClose extends ToConnection {
  readonly is: "connection.close";
  readonly code: number;
  readonly text: string;
}

/** What goes to a channel. */
export type ChannelEvent =
  | Deliver
  | GetOk
  | Return
  | Confirm
  | QueueDeclareOk
  | QueueGone
  | ConsumerWord
  | Done
  | ChannelClose;

/** One word of the server. */
export type RabbitEvent = ChannelEvent | ConnectionWord | ConnectionClose;
