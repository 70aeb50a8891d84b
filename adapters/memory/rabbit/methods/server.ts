/**
 * What befalls connections and the whole server: open, close, alarms, a restart.
 *
 * @module
 */
import type { Message } from "../../../../src/broker.ts";
import type { Alarm, Command, ConnectionCommand, Crash } from "../command.ts";
import { Connection } from "../connection.ts";
import { isPersistent } from "../queue.ts";
import type { Rabbit } from "../rabbit.ts";

const NONE: ReadonlyMap<string, number> = new Map<string, number>();

/** Opens, closes, or drops a connection. */
export function onConnection(rabbit: Rabbit, command: ConnectionCommand): void {
  const { connection: id } = command;
  const connection = rabbit.connections.get(id);
  if (command.do === "connection.open") {
    if (connection !== undefined) return;
    rabbit.connections.set(id, new Connection(id));
    rabbit.emit({ is: "connection.open-ok", connection: id });
    return;
  }
  if (connection === undefined) return;
  rabbit.closeConnection(connection);
  if (command.do === "connection.close") rabbit.emit({ is: "connection.close-ok", connection: id });
}

/** Keeps a command for later when its connection is not read; true if so. An alarm bites at the next publish, not before. */
export function freeze(rabbit: Rabbit, connection: Connection, command: Command): boolean {
  if (connection.frozen === undefined) {
    if (rabbit.alarms.size === 0 || command.do !== "basic.publish") return false;
    connection.frozen = [];
    rabbit.emit({ is: "connection.blocked", connection: connection.id });
  }
  connection.frozen.push(command);
  return true;
}

/** Turns an alarm on or off; with the last one off, what was not read is read, connection by connection. Gives what to apply now. */
export function alarm(rabbit: Rabbit, command: Alarm): readonly Command[] {
  if (command.on) rabbit.alarms.add(command.resource);
  else rabbit.alarms.delete(command.resource);
  if (rabbit.alarms.size > 0) return [];
  const thawed: Command[] = [];
  for (const connection of rabbit.connections.values()) {
    if (connection.frozen === undefined) continue;
    thawed.push(...connection.frozen);
    connection.frozen = undefined;
    rabbit.emit({ is: "connection.unblocked", connection: connection.id });
  }
  return thawed;
}

/** An orderly restart: connections go, unacked messages are back, then what is not durable or not persistent is gone. */
export function restart(rabbit: Rabbit): void {
  for (const connection of [...rabbit.connections.values()]) {
    rabbit.closeConnection(connection);
    rabbit.emit({
      is: "connection.close",
      connection: connection.id,
      code: 320,
      text: "CONNECTION_FORCED - shutdown",
    });
  }
  startAgain(rabbit, isPersistent, {});
}

/** A death without a word, and a start from what was on the disk: which messages had been handed out does not stand there, so all have. */
export function crash(rabbit: Rabbit, { lost, unwritten }: Crash): void {
  for (const connection of [...rabbit.connections.values()]) rabbit.closeConnection(connection);
  startAgain(rabbit, (message) => isPersistent(message) && !lost.has(message), { marks: true, unwritten });
}

/** What stands again: durable queues and exchanges, and of their messages those that were kept. */
function startAgain(
  rabbit: Rabbit,
  kept: (message: Message) => boolean,
  { marks = false, unwritten = NONE }: {
    readonly marks?: boolean;
    readonly unwritten?: ReadonlyMap<string, number>;
  },
): void {
  rabbit.bury();
  for (const queue of [...rabbit.queues.values()]) {
    if (!queue.lasts) rabbit.deleteQueue(queue);
    else {
      queue.unsettle(unwritten.get(queue.name) ?? 0);
      queue.ready.filter((entry) => {
        entry.redelivered ||= marks;
        return kept(entry.message);
      });
    }
  }
  for (const exchange of [...rabbit.exchanges.values()]) {
    if (exchange.durable) continue;
    for (const binding of [...exchange.bindings]) exchange.remove(binding);
    rabbit.exchanges.delete(exchange.name);
  }
  const delayed = [...rabbit.delayed].filter((one) => kept(one.message));
  rabbit.delayed.clear();
  for (const one of delayed) rabbit.delayed.push(one);
  rabbit.alarms.clear();
}
