/**
 * Names that are no queue's: a list under one of them would stand where kombu and we keep something else.
 *
 * @module
 */
import type { Entity, Outgoing } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";

/** kombu's keys, which all begin with `_kombu.` but three, and all of ours; the prefix stands before them as it does before queues. */
const RESERVED = /^(celeriac:|_kombu\.|unacked(_index|_mutex)?$)/;

/** Whether no queue may have this name. */
export function isReserved(queue: string): boolean {
  return RESERVED.test(queue);
}

/** Throws `queue-reserved` for such a name. */
export function checkQueue(queue: string): void {
  if (isReserved(queue)) throw new ConfigurationError("queue-reserved", reservedReason(queue));
}

/** Whether the message goes to such a name. */
export function isToReserved({ to: { exchange, routingKey } }: Outgoing): boolean {
  return exchange === "" && isReserved(routingKey);
}

/** Why it is refused. */
export function reservedReason(queue: string): string {
  return `The name ${queue} is reserved.`;
}

/** Throws it for everything declared. */
export function checkEntities(entities: readonly Entity[]): void {
  for (const entity of entities) {
    if (entity.kind === "queue") checkQueue(entity.name);
    if (entity.kind === "binding") checkQueue(entity.queue);
  }
}
