/**
 * `queue.*`: declare, delete, purge, bind, unbind.
 *
 * @module
 */
import { demandEqual, demandKnown, demandSame } from "../arguments.ts";
import type { Channel } from "../channel.ts";
import type { QueueBind, QueueDeclare, QueueDelete, QueuePurge } from "../command.ts";
import { Fault } from "../fault.ts";
import { Queue } from "../queue.ts";
import type { Rabbit } from "../rabbit.ts";
import { demandExchange } from "./exchange.ts";

function locked(name: string): Fault {
  return new Fault(
    405,
    `cannot obtain exclusive access to locked queue '${name}' in vhost '/'. It could be originally declared on another connection ` +
      "or the exclusive property value does not match that of the original declaration.",
  );
}

/** Finds a queue that must be there and must not be another connection's own: a `Fault` 404 or 405 otherwise. */
export function demandQueue(rabbit: Rabbit, channel: Channel, asked: string): Queue {
  return demandNamed(rabbit, channel, nameOf(channel, asked));
}

function demandNamed(rabbit: Rabbit, channel: Channel, name: string): Queue {
  const queue = rabbit.queues.get(name);
  if (queue === undefined) throw new Fault(404, `no queue '${name}' in vhost '/'`);
  return demandAccess(channel, queue);
}

function demandAccess(channel: Channel, queue: Queue): Queue {
  const { owner } = queue.identity;
  if (owner !== undefined && owner !== channel.connection.id) throw locked(queue.name);
  return queue;
}

/** The name "" stands for the queue that this channel declared last. */
export function nameOf(channel: Channel, asked: string): string {
  const name = asked === "" ? channel.lastQueue : asked;
  if (name === undefined) throw new Fault(404, "no previously declared queue");
  return name;
}

function demandEquivalent(channel: Channel, queue: Queue, command: QueueDeclare): void {
  const { durable = false, exclusive = false, autoDelete = false } = command;
  const { identity } = queue;
  if (identity.owner !== (exclusive ? channel.connection.id : undefined)) throw locked(queue.name);
  const what = `queue '${queue.name}'`;
  // An exclusive queue is never durable, whatever was asked.
  demandSame(what, "durable", identity.durable, durable && !exclusive);
  demandSame(what, "auto_delete", identity.autoDelete, autoDelete);
  demandEqual(what, identity.arguments, command.arguments ?? {});
}

function declare(rabbit: Rabbit, channel: Channel, command: QueueDeclare): Queue {
  const { durable = false, exclusive = false, autoDelete = false, passive = false } = command;
  // The name "" stands for no other here.
  if (passive) return demandNamed(rabbit, channel, command.queue);
  const table = command.arguments ?? {};
  demandKnown(table);
  if (command.queue.startsWith("amq.")) {
    throw new Fault(403, `queue name '${command.queue}' contains reserved prefix 'amq.*'`);
  }
  const current = rabbit.queues.get(command.queue);
  // Whose queue it is comes before what is asked of it: nonsense in the arguments of a redeclaration is merely different.
  if (current !== undefined) {
    demandEquivalent(channel, current, command);
    return current;
  }
  const queue = new Queue(rabbit, {
    name: command.queue === "" ? rabbit.name("amq.gen-") : command.queue,
    durable: durable && !exclusive,
    autoDelete,
    owner: exclusive ? channel.connection.id : undefined,
    arguments: table,
  });
  rabbit.queues.set(queue.name, queue);
  return queue;
}

/** Declares, or asks whether it is there; both renew `x-expires`. */
export function queueDeclare(rabbit: Rabbit, channel: Channel, command: QueueDeclare): void {
  const queue = declare(rabbit, channel, command);
  queue.use();
  channel.lastQueue = queue.name;
  rabbit.emit({
    is: "queue.declare-ok",
    connection: channel.connection.id,
    channel: channel.id,
    queue: queue.name,
    messageCount: queue.ready.size,
    consumerCount: queue.turns.size,
  });
}

/** Deletes; its contents are not dead-lettered. */
export function queueDelete(rabbit: Rabbit, channel: Channel, command: QueueDelete): void {
  const { ifUnused = false, ifEmpty = false } = command;
  const name = nameOf(channel, command.queue);
  const queue = rabbit.queues.get(name);
  let messageCount = 0;
  if (queue !== undefined) {
    demandAccess(channel, queue);
    if (ifEmpty && queue.ready.size > 0) throw new Fault(406, `queue '${name}' in vhost '/' not empty`);
    if (ifUnused && queue.turns.size > 0) throw new Fault(406, `queue '${name}' in vhost '/' in use`);
    messageCount = queue.ready.size;
    rabbit.deleteQueue(queue);
  }
  rabbit.emit({
    is: "queue.delete-ok",
    connection: channel.connection.id,
    channel: channel.id,
    messageCount,
  });
}

/** Removes the ready messages; they are not dead-lettered. */
export function queuePurge(rabbit: Rabbit, channel: Channel, command: QueuePurge): void {
  const messageCount = demandQueue(rabbit, channel, command.queue).purge();
  rabbit.emit({ is: "queue.purge-ok", connection: channel.connection.id, channel: channel.id, messageCount });
}

/** Where neither queue nor key is named, the queue declared last is both (AMQP 0-9-1, `queue.bind`). */
function keyOf(channel: Channel, { queue, routingKey }: QueueBind): string {
  return queue === "" && routingKey === "" ? channel.lastQueue ?? "" : routingKey;
}

function bindingId(queue: Queue, routingKey: string, command: QueueBind): string {
  return JSON.stringify([queue.name, routingKey, command.arguments ?? {}]);
}

/** Binds; the same binding again changes nothing. */
export function queueBind(rabbit: Rabbit, channel: Channel, command: QueueBind): void {
  const name = nameOf(channel, command.queue);
  if (command.exchange === "") throw new Fault(403, "operation not permitted on the default exchange");
  // What is missing is told before whose it is, the exchange first.
  const exchange = demandExchange(rabbit, command.exchange);
  const queue = demandQueue(rabbit, channel, name);
  const routingKey = keyOf(channel, command);
  exchange.add({ exchange, queue, routingKey, id: bindingId(queue, routingKey, command) });
  rabbit.emit({ is: "queue.bind-ok", connection: channel.connection.id, channel: channel.id });
}

/** Unbinds; what is not bound, or not there at all, is no error. */
export function queueUnbind(rabbit: Rabbit, channel: Channel, command: QueueBind): void {
  const queue = rabbit.queues.get(nameOf(channel, command.queue));
  if (command.exchange === "") throw new Fault(403, "operation not permitted on the default exchange");
  const exchange = rabbit.exchanges.get(command.exchange);
  if (queue !== undefined && exchange !== undefined) {
    const binding = exchange.find(bindingId(queue, keyOf(channel, command), command));
    if (binding !== undefined) {
      demandAccess(channel, queue);
      exchange.remove(binding);
      rabbit.tidy(exchange);
    }
  }
  rabbit.emit({ is: "queue.unbind-ok", connection: channel.connection.id, channel: channel.id });
}
