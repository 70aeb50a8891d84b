/**
 * What a client can tell the server: the AMQP 0-9-1 methods that RabbitMQ takes, each with its connection and channel, and the few
 * things that befall a server from outside.
 *
 * @module
 */
import type { Message } from "../../../src/broker.ts";

/** An AMQP table. */
export type Table = Readonly<Record<string, unknown>>;

/** Names the connection; the client chooses the number and never uses it again. */
interface OnConnection {
  readonly connection: number;
}

/** Names the channel as well. */
interface OnChannel extends OnConnection {
  readonly channel: number;
}

/** Opens, closes, or breaks a connection (`drop`: the socket is gone without a word). */
export interface ConnectionCommand extends OnConnection {
  readonly do: "connection.open" | "connection.close" | "connection.drop";
}

/** `channel.close-ok` answers the server's own close; until then the server ignores what comes on the channel. */
export interface ChannelCommand extends OnChannel {
  readonly do: "channel.open" | "channel.close" | "channel.close-ok" | "confirm.select";
}

/** Declares an exchange, or with `passive` asks whether it is there. */
export interface ExchangeDeclare extends OnChannel {
  readonly do: "exchange.declare";
  readonly exchange: string;
  readonly type: string;
  readonly passive?: boolean;
  readonly durable?: boolean;
  readonly autoDelete?: boolean;
  readonly arguments?: Table;
}

/** Deletes an exchange; one that is not there is no error. */
export interface ExchangeDelete extends OnChannel {
  readonly do: "exchange.delete";
  readonly exchange: string;
  readonly ifUnused?: boolean;
}

/** Declares a queue; the name "" asks the server for one. */
export interface QueueDeclare extends OnChannel {
  readonly do: "queue.declare";
  readonly queue: string;
  readonly passive?: boolean;
  readonly durable?: boolean;
  readonly exclusive?: boolean;
  readonly autoDelete?: boolean;
  readonly arguments?: Table;
}

/** Deletes a queue; one that is not there is no error. */
export interface QueueDelete extends OnChannel {
  readonly do: "queue.delete";
  readonly queue: string;
  readonly ifUnused?: boolean;
  readonly ifEmpty?: boolean;
}

/** Removes the ready messages. */
export interface QueuePurge extends OnChannel {
  readonly do: "queue.purge";
  readonly queue: string;
}

/** Binds or unbinds; both may be repeated. */
export interface QueueBind extends OnChannel {
  readonly do: "queue.bind" | "queue.unbind";
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly arguments?: Table;
}

/** Publishes. The message is kept as it is: who publishes must not change it afterwards. */
export interface Publish extends OnChannel {
  readonly do: "basic.publish";
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory?: boolean;
  readonly message: Message;
  /**
   * Not AMQP: the message is routed at this instant (ms since the epoch) and lies outside every queue until then, as RabbitMQ's
   * delayed message plugin does it. Routed at once to see whether a queue takes it.
   */
  readonly notBefore?: number;
  /** Not AMQP: no queue takes it, and the confirm is a nack, as when a queue's process fails. */
  readonly refused?: boolean;
}

/** Sets the prefetch of the consumers that come after it. `global` is refused: RabbitMQ 4.3 does so too. */
export interface Qos extends OnChannel {
  readonly do: "basic.qos";
  readonly prefetch: number;
  readonly global?: boolean;
}

/** Starts a consumer; the tag "" asks the server for one. */
export interface Consume extends OnChannel {
  readonly do: "basic.consume";
  readonly queue: string;
  readonly consumerTag: string;
  readonly noAck?: boolean;
  readonly exclusive?: boolean;
  /** `x-priority` is known: higher goes first while it has credit. */
  readonly arguments?: Table;
}

/** Ends a consumer; an unknown tag is no error. What it got stays unacked. */
export interface Cancel extends OnChannel {
  readonly do: "basic.cancel";
  readonly consumerTag: string;
}

/** Takes one message. */
export interface Get extends OnChannel {
  readonly do: "basic.get";
  readonly queue: string;
  readonly noAck?: boolean;
}

/** Settles deliveries. `multiple` takes all outstanding tags up to this one, which must be outstanding itself; 0 with it means all. */
export interface Settle extends OnChannel {
  readonly do: "basic.ack" | "basic.nack" | "basic.reject";
  readonly deliveryTag: number;
  readonly multiple?: boolean;
  /** For nack and reject. */
  readonly requeue?: boolean;
}

/** Gives back all that the channel holds; without `requeue` it is not implemented, here as there. */
export interface Recover extends OnChannel {
  readonly do: "basic.recover";
  readonly requeue: boolean;
}

/** A resource alarm: while one is on, a connection is not read any more from its next publish on. */
export interface Alarm {
  readonly do: "server.alarm";
  readonly resource: "memory" | "disk";
  readonly on: boolean;
}

/** The server stops in order and starts again: all connections go, what is durable and persistent stays. */
export interface Restart {
  readonly do: "server.restart";
}

/**
 * The server dies without a word and starts again: what is durable, persistent and confirmed is there, of the rest what is not `lost`. All
 * that is there says that it was handed out before, whether it was or not.
 */
export interface Crash {
  readonly do: "server.crash";
  /** Messages, the very objects that were published, that had not come to the disk. */
  readonly lost: ReadonlySet<Message>;
  /** By queue, how many of its last settlements had not come to the disk: these messages are there again. */
  readonly unwritten: ReadonlyMap<string, number>;
}

/** What goes on a channel. */
export type OnChannelCommand =
  | ChannelCommand
  | ExchangeDeclare
  | ExchangeDelete
  | QueueDeclare
  | QueueDelete
  | QueuePurge
  | QueueBind
  | Publish
  | Qos
  | Consume
  | Cancel
  | Get
  | Settle
  | Recover;

/** One step of the server. */
export type Command = OnChannelCommand | ConnectionCommand | Alarm | Restart | Crash;
