/**
 * What a queue needs to stand, and the way into it, as Celery and kombu would have it.
 *
 * @module
 */
import type { Entity, ExchangeType } from "../broker.ts";
import type { Route } from "../producer/route.ts";
import type { QueueSpec } from "./queues.ts";

/** Where a queue's messages come from and what to declare for it, as Celery would; and the way into it. */
export interface QueuePlan extends Route {
  /** The queue's name; of a broadcast, the name of them all. */
  readonly name: string;
  /** What it is bound to. */
  readonly exchange: string;
  /** How that routes. */
  readonly exchangeType: ExchangeType;
  /** By which key it is bound. */
  readonly routingKey: string;
  /** What its messages are, where it says so. */
  readonly deliveryMode: 1 | 2 | undefined;
  /** Whether it is a quorum queue. */
  readonly quorum: boolean;
  /** Whether each worker has a queue of its own, which {@link broadcastPlan} names. */
  readonly broadcast: boolean;
}

/** What a queue hangs on. */
export interface Place {
  /** Whether the exchange is its own: what it says of exchanges is then of this one. */
  readonly own: boolean;
  readonly exchange: string;
  readonly exchangeType: ExchangeType;
  readonly routingKey: string;
}

/** The plan of a queue with these options; `table` are the arguments that the settings give it. */
export function planOf(
  name: string,
  place: Place,
  spec: QueueSpec = {},
  table: Readonly<Record<string, unknown>> = {},
): QueuePlan {
  const { exchange, exchangeType, routingKey } = place;
  const fanout = exchangeType === "fanout";
  const entities = entitiesOf(name, place, spec, table);
  return {
    name,
    exchange,
    exchangeType,
    routingKey,
    deliveryMode: spec.deliveryMode,
    quorum: { ...table, ...spec.queueArguments }["x-queue-type"] === "quorum",
    broadcast: spec.broadcast === true,
    to: exchangeType === "direct" ? { exchange: "", routingKey: name } : { exchange, routingKey },
    mustRoute: !fanout,
    // Who sends to all declares nobody's queue.
    entities: spec.noDeclare === true ? [] : spec.broadcast === true ? entities.slice(0, 1) : entities,
  };
}

/** A worker's own queue of a broadcast: made for it, gone with it. What goes back to it (a retry) goes to this worker alone. */
export function broadcastPlan(
  plan: QueuePlan,
  name: string,
  spec: QueueSpec,
  table: Readonly<Record<string, unknown>>,
): QueuePlan {
  const own = { ...spec, queueAutoDelete: spec.queueAutoDelete ?? spec.autoDelete ?? true };
  return {
    ...plan,
    name,
    to: { exchange: "", routingKey: name },
    mustRoute: true,
    entities: entitiesOf(name, { ...plan, own: true }, own, table),
  };
}

function entitiesOf(
  name: string,
  { own, exchange, exchangeType, routingKey }: Place,
  spec: QueueSpec,
  table: Readonly<Record<string, unknown>>,
): Entity[] {
  const { durable = true, autoDelete = false, bindings = [] } = spec;
  const all = { ...table, ...spec.queueArguments, ...limitsOf(spec) };
  return [
    {
      kind: "exchange",
      name: exchange,
      type: exchangeType,
      durable: !own || (spec.exchangeDurable ?? durable),
      // Of a broadcast, it is the queue alone that goes.
      autoDelete: own && (spec.exchangeAutoDelete ?? (spec.broadcast !== true && autoDelete)),
      ...(own && argumentsOf(spec.exchangeArguments)),
    },
    {
      kind: "queue",
      name,
      durable: spec.queueDurable ?? durable,
      exclusive: false,
      autoDelete: spec.queueAutoDelete ?? autoDelete,
      ...argumentsOf(all),
    },
    { kind: "binding", queue: name, exchange, routingKey, ...argumentsOf(spec.bindingArguments) },
    ...bindings.flatMap(({ exchange: other, exchangeType: type = "direct", routingKey: key = "", ...more }) =>
      [
        { kind: "exchange", name: other, type, durable: true, autoDelete: false },
        { kind: "binding", queue: name, exchange: other, routingKey: key, ...argumentsOf(more.arguments) },
      ] as const
    ),
  ];
}

/** kombu's own words for RabbitMQ's arguments; they win over `queueArguments`, as there. */
function limitsOf(
  { maxPriority, messageTtl, expires, maxLength, maxLengthBytes }: QueueSpec,
): Readonly<Record<string, unknown>> {
  return {
    ...(maxPriority !== undefined && { "x-max-priority": maxPriority }),
    ...(messageTtl !== undefined && { "x-message-ttl": messageTtl }),
    ...(expires !== undefined && { "x-expires": expires }),
    ...(maxLength !== undefined && { "x-max-length": maxLength }),
    ...(maxLengthBytes !== undefined && { "x-max-length-bytes": maxLengthBytes }),
  };
}

function argumentsOf(
  table: Readonly<Record<string, unknown>> = {},
): { readonly arguments?: Readonly<Record<string, unknown>> } {
  return Object.keys(table).length > 0 ? { arguments: table } : {};
}
