/**
 * Exchanges, queues and bindings, asked for together.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Entity } from "../../src/broker.ts";
import { channelError } from "./errors.ts";
import type { Topology } from "./options.ts";

/**
 * Declares in order, in one round trip; `stood` hears of each that stands.
 *
 * @throws {ConfigurationError} naming the first entity that was refused; those before it are declared.
 */
export async function declareAll(
  entities: readonly Entity[],
  mode: Topology,
  channel: AMQPChannel,
  stood?: (entity: Entity) => void,
): Promise<void> {
  if (mode === "leave") return;
  // Written together, answered in order: after an error the broker ignores the rest, so the first one refused is the culprit.
  const answers = await Promise.allSettled(
    entities.map((entity) => ask(entity, mode === "passive", channel)),
  );
  for (const [at, answer] of answers.entries()) {
    const entity = entities[at] as Entity;
    if ("reason" in answer) throw channelError(entity, answer.reason);
    stood?.(entity);
  }
}

async function ask(entity: Entity, passive: boolean, channel: AMQPChannel): Promise<unknown> {
  const table = tableOf(entity.arguments ?? {});
  if (entity.kind === "exchange") {
    return await channel.exchangeDeclare(entity.name, entity.type, { ...entity, passive }, table);
  }
  if (entity.kind === "queue") return await channel.queueDeclare(entity.name, { ...entity, passive }, table);
  // A binding cannot be asked for passively.
  return passive
    ? undefined
    : await channel.queueBind(entity.queue, entity.exchange, entity.routingKey, table);
}

/** The library writes integers from 2^31 to 2^32 with their sign lost; as bigint they go out as 64 bits. */
function tableOf(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(table).map(([key, value]) => [
      key,
      Number.isSafeInteger(value) && value !== Number(value) >> 0 ? BigInt(value as number) : value,
    ]),
  );
}
