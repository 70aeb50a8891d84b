/**
 * Steps that a real server and the reducer both can run, as data.
 *
 * @module
 */

/** Two connections with two channels each. */
export const SLOTS = 4;

/** The connection of a channel's slot. */
export function connectionOf(slot: number): number {
  return Math.floor(slot / 2);
}

/** The names of one run. */
export interface Names {
  readonly queues: readonly string[];
  readonly exchanges: readonly string[];
}

export function namesOf(run: string): Names {
  return { queues: [0, 1, 2].map((n) => `${run}.q${n}`), exchanges: [0, 1].map((n) => `${run}.x${n}`) };
}

/** How a queue is declared. */
export interface QueueOptions {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** The properties of a message that matter to a server. */
export interface Told {
  readonly priority?: number;
  readonly expiration?: string;
  readonly persistent?: boolean;
}

interface OnSlot {
  readonly slot: number;
}

interface OnQueue extends OnSlot {
  readonly queue: string;
}

interface OnExchange extends OnSlot {
  readonly exchange: string;
}

export interface DeclareStep extends OnQueue, QueueOptions {
  readonly do: "declare";
  readonly passive: boolean;
}

export interface DeleteStep extends OnQueue {
  readonly do: "delete";
  readonly ifUnused: boolean;
  readonly ifEmpty: boolean;
}

export interface PurgeStep extends OnQueue {
  readonly do: "purge";
}

export interface ExchangeStep extends OnExchange {
  readonly do: "exchange";
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly passive: boolean;
}

export interface DeleteExchangeStep extends OnExchange {
  readonly do: "deleteExchange";
  readonly ifUnused: boolean;
}

export interface BindStep extends OnQueue, OnExchange {
  readonly do: "bind" | "unbind";
  readonly routingKey: string;
}

/** Several messages go out in one breath. */
export interface PublishStep extends OnExchange, Told {
  readonly do: "publish";
  readonly routingKey: string;
  readonly bodies: readonly string[];
  readonly mandatory: boolean;
}

export interface QosStep extends OnSlot {
  readonly do: "qos";
  readonly prefetch: number;
}

export interface ConsumeStep extends OnQueue {
  readonly do: "consume";
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority?: number;
}

export interface CancelStep extends OnSlot {
  readonly do: "cancel";
  readonly tag: string;
}

export interface GetStep extends OnQueue {
  readonly do: "get";
  readonly noAck: boolean;
}

export interface SettleStep extends OnSlot {
  readonly do: "ack" | "nack" | "reject";
  readonly deliveryTag: number;
  readonly multiple: boolean;
  readonly requeue: boolean;
}

/** `drop` breaks the connection's socket. */
export interface ChannelStep extends OnSlot {
  readonly do: "confirm" | "recover" | "open" | "close" | "closeConnection" | "drop";
}

/** Lets ms pass. */
export interface WaitStep extends OnSlot {
  readonly do: "wait";
  readonly ms: number;
}

/** A step, ready to be run by fake and real alike. `slot` names the channel. */
export type Step =
  | DeclareStep
  | DeleteStep
  | PurgeStep
  | ExchangeStep
  | DeleteExchangeStep
  | BindStep
  | PublishStep
  | QosStep
  | ConsumeStep
  | CancelStep
  | GetStep
  | SettleStep
  | ChannelStep
  | WaitStep;
