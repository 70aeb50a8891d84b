/**
 * `basic.*` of the consuming side: qos, consume, cancel, get, and the settlements.
 *
 * @module
 */
import type { Channel, Outstanding } from "../channel.ts";
import type { Cancel, Consume, Get, Qos, Recover, Settle, Table } from "../command.ts";
import { typeOf } from "../erlang.ts";
import { FakeUnsupported, Fault } from "../fault.ts";
import type { Rabbit } from "../rabbit.ts";
import type { Consumer } from "../turns.ts";
import { demandQueue, nameOf } from "./queue.ts";

/** Sets the prefetch of the consumers to come. */
export function qos(rabbit: Rabbit, channel: Channel, command: Qos): void {
  if (command.global === true) throw new FakeUnsupported("a prefetch for the whole channel (global)");
  channel.prefetch = command.prefetch;
  rabbit.emit({ is: "basic.qos-ok", connection: channel.connection.id, channel: channel.id });
}

function consumerPriority(table: Table, queue: string): number {
  for (const key of Object.keys(table)) {
    if (key !== "x-priority") throw new FakeUnsupported(`the consumer argument "${key}"`);
  }
  const priority = table["x-priority"] ?? 0;
  if (typeof priority !== "number" || !Number.isInteger(priority)) {
    throw new Fault(
      406,
      `invalid arg 'x-priority' for queue '${queue}' in vhost '/': "expected integer, got ${
        typeOf(priority)
      }"`,
    );
  }
  return priority;
}

/** Starts a consumer; what waits comes right after the ok. */
export function consume(rabbit: Rabbit, channel: Channel, command: Consume): void {
  const { noAck = false, exclusive = false } = command;
  const name = nameOf(channel, command.queue);
  if (channel.consumers.has(command.consumerTag)) {
    throw new Fault(530, `attempt to reuse consumer tag '${command.consumerTag}'`);
  }
  const queue = demandQueue(rabbit, channel, name);
  const priority = consumerPriority(command.arguments ?? {}, queue.name);
  const shared = queue.turns.single || queue.turns.size > 0;
  if (queue.exclusiveConsumer !== undefined || (exclusive && shared)) {
    throw new Fault(403, `queue '${queue.name}' in vhost '/' in exclusive use`);
  }
  const consumer: Consumer = {
    tag: command.consumerTag === "" ? rabbit.name("amq.ctag-") : command.consumerTag,
    channel,
    queue,
    noAck,
    priority,
    credit: noAck || channel.prefetch === 0 ? Infinity : channel.prefetch,
    blocked: false,
    cancelled: false,
  };
  if (exclusive) queue.exclusiveConsumer = consumer;
  channel.consumers.set(consumer.tag, consumer);
  queue.turns.add(consumer);
  rabbit.emit({
    is: "basic.consume-ok",
    connection: channel.connection.id,
    channel: channel.id,
    consumerTag: consumer.tag,
  });
  queue.run();
}

/** Ends a consumer and keeps what it got outstanding. */
export function cancel(rabbit: Rabbit, channel: Channel, command: Cancel): void {
  const { consumerTag } = command;
  const consumer = channel.consumers.get(consumerTag);
  if (consumer !== undefined) rabbit.removeConsumer(consumer);
  rabbit.emit({ is: "basic.cancel-ok", connection: channel.connection.id, channel: channel.id, consumerTag });
}

/** Takes one message, whatever the prefetch says. */
export function get(rabbit: Rabbit, channel: Channel, command: Get): void {
  const { noAck = false } = command;
  const queue = demandQueue(rabbit, channel, command.queue);
  const entry = queue.take(noAck);
  const [connection, id] = [channel.connection.id, channel.id];
  if (entry === undefined) {
    rabbit.emit({ is: "basic.get-empty", connection, channel: id });
    return;
  }
  rabbit.emit({
    is: "basic.get-ok",
    connection,
    channel: id,
    deliveryTag: channel.note(entry, queue, undefined, noAck),
    redelivered: entry.redelivered,
    exchange: entry.exchange,
    routingKey: entry.routingKey,
    message: entry.message,
    messageCount: queue.ready.size,
  });
}

type How = "acked" | "rejected" | "returned";

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * RabbitMQ hands released deliveries to their queues in groups of one queue and one consumer tag, sorted by both; each `basic.get` is a
 * group of its own, before all consumers. A queue serves its consumers after each group, not after the last one.
 */
function groups(released: readonly Outstanding[]): readonly (readonly Outstanding[])[] {
  const byKey = new Map<string, Outstanding[]>();
  for (const one of released) {
    const key = JSON.stringify([one.queue.name, one.consumerTag ?? one.tag]);
    const group = byKey.get(key);
    if (group === undefined) byKey.set(key, [one]);
    else group.push(one);
  }
  return [...byKey.values()].sort(([a], [b]) => {
    if (a === undefined || b === undefined) return 0;
    const byQueue = compare(a.queue.name, b.queue.name);
    if (byQueue !== 0) return byQueue;
    if (a.consumerTag === undefined || b.consumerTag === undefined) {
      return a.consumerTag === b.consumerTag ? a.tag - b.tag : a.consumerTag === undefined ? -1 : 1;
    }
    return compare(a.consumerTag, b.consumerTag);
  });
}

function settleGroup(channel: Channel, group: readonly Outstanding[], how: How): void {
  const [first] = group;
  if (first === undefined) return;
  const { queue, consumerTag } = first;
  // Credit belongs to the tag: a consumer that took the tag anew gets it as well.
  const consumer = consumerTag === undefined ? undefined : channel.consumers.get(consumerTag);
  if (consumer !== undefined && consumer.queue === queue) queue.turns.credit(consumer, group.length);
  const entries = group.map((one) => one.entry);
  if (how === "returned") queue.giveBack(entries);
  else queue.finish(entries, how);
  queue.run();
}

/** Acks, nacks and rejects. An unknown tag is a `Fault` 406, and nothing at all was settled. */
export function settle(channel: Channel, command: Settle): void {
  const { deliveryTag, multiple = false, requeue = false } = command;
  const released = channel.release(deliveryTag, multiple && command.do !== "basic.reject");
  const how: How = command.do === "basic.ack" ? "acked" : requeue ? "returned" : "rejected";
  if (released.length === 1) settleGroup(channel, released, how);
  else for (const group of groups(released)) settleGroup(channel, group, how);
}

/** Gives back all that the channel holds, and then answers. */
export function recover(rabbit: Rabbit, channel: Channel, command: Recover): void {
  if (!command.requeue) throw new Fault(540, "requeue=false");
  for (const group of groups(channel.releaseAll())) settleGroup(channel, group, "returned");
  rabbit.emit({ is: "basic.recover-ok", connection: channel.connection.id, channel: channel.id });
}
