/**
 * RabbitMQ 3.10 as a reducer: a state, a command and the time give the next state and what the server says. No I/O, no clock, no chance:
 * the same commands at the same instants give the same events, always.
 *
 * @module
 */
import { Channel } from "./channel.ts";
import type { Command, OnChannelCommand } from "./command.ts";
import type { RabbitEvent } from "./event.ts";
import { FakeUnsupported, Fault } from "./fault.ts";
import { cancel, consume, get, qos, recover, settle } from "./methods/basic.ts";
import { exchangeDeclare, exchangeDelete } from "./methods/exchange.ts";
import { publish } from "./methods/publish.ts";
import { queueBind, queueDeclare, queueDelete, queuePurge, queueUnbind } from "./methods/queue.ts";
import { alarm, crash, freeze, onConnection, restart } from "./methods/server.ts";
import { type Limits, Rabbit, RABBIT_LIMITS } from "./rabbit.ts";

/** A fresh server. */
export function createRabbit(limits: Partial<Limits> = {}): Rabbit {
  return new Rabbit({ ...RABBIT_LIMITS, ...limits });
}

/** The next instant (ms since the epoch) at which something happens by time alone; undefined when nothing does. */
export function nextDue(rabbit: Rabbit): number | undefined {
  const due = Math.min(rabbit.timers.next(), rabbit.delayed.peek()?.at ?? Infinity, rabbit.nextBurial);
  return due === Infinity ? undefined : due;
}

/**
 * Lets the time come to `now`: whatever is due happens at its own instant and in its order, so that one long step equals many short
 * ones. Time that goes back is not heard. The state is changed in place; the events are appended to `out`, which is returned.
 */
export function advance(rabbit: Rabbit, now: number, out: RabbitEvent[] = []): RabbitEvent[] {
  rabbit.out = out;
  for (;;) {
    const at = nextDue(rabbit);
    if (at === undefined || at > now) break;
    rabbit.now = Math.max(rabbit.now, at);
    const delayed = rabbit.delayed.peek();
    if (delayed !== undefined && delayed.at <= at) {
      rabbit.delayed.pop();
      for (const queue of rabbit.route(delayed.exchange, delayed.routingKey) ?? []) {
        queue.accept(delayed.message, delayed.exchange, delayed.routingKey);
      }
    } else if (rabbit.timers.next() <= at) rabbit.timers.fire();
    rabbit.bury();
  }
  rabbit.now = Math.max(rabbit.now, now);
  return out;
}

/**
 * Applies one command at the instant `now` (ms since the epoch), after all that was due before it. The state is changed in place; the
 * events are appended to `out`, which is returned. Throws {@link FakeUnsupported} for what the fake does not know, and nothing of that
 * command has happened then.
 */
export function apply(rabbit: Rabbit, command: Command, now: number, out: RabbitEvent[] = []): RabbitEvent[] {
  advance(rabbit, now, out);
  switch (command.do) {
    case "connection.open":
    case "connection.close":
    case "connection.drop":
      if (command.do === "connection.close" && freezes(rabbit, command)) break;
      onConnection(rabbit, command);
      break;
    case "server.alarm":
      for (const thawed of alarm(rabbit, command)) apply(rabbit, thawed, now, out);
      break;
    case "server.restart":
      restart(rabbit);
      break;
    case "server.crash":
      crash(rabbit, command);
      break;
    default:
      if (!freezes(rabbit, command)) onChannel(rabbit, command);
  }
  rabbit.bury();
  return out;
}

function freezes(rabbit: Rabbit, command: Command & { readonly connection: number }): boolean {
  const connection = rabbit.connections.get(command.connection);
  return connection !== undefined && freeze(rabbit, connection, command);
}

function onChannel(rabbit: Rabbit, command: OnChannelCommand): void {
  const connection = rabbit.connections.get(command.connection);
  // The socket is closed already: nobody hears it.
  if (connection === undefined) return;
  if (connection.closing.has(command.channel)) {
    if (command.do === "channel.close-ok") connection.closing.delete(command.channel);
    return;
  }
  const open = connection.channels.get(command.channel);
  const channel = open ?? new Channel(rabbit, connection, command.channel);
  try {
    if (command.do === "channel.open") {
      if (open !== undefined) throw new Fault(504, "second 'channel.open' seen");
      connection.channels.set(channel.id, channel);
      rabbit.emit({ is: "channel.open-ok", connection: connection.id, channel: channel.id });
      return;
    }
    if (open === undefined) throw new Fault(504, "expected 'channel.open'");
    dispatch(rabbit, open, command);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    rabbit.fail(channel, error);
  }
}

function dispatch(rabbit: Rabbit, channel: Channel, command: OnChannelCommand): void {
  switch (command.do) {
    case "basic.publish":
      return publish(rabbit, channel, command);
    case "basic.ack":
    case "basic.nack":
    case "basic.reject":
      return settle(channel, command);
    case "basic.consume":
      return consume(rabbit, channel, command);
    case "basic.cancel":
      return cancel(rabbit, channel, command);
    case "basic.get":
      return get(rabbit, channel, command);
    case "basic.recover":
      return recover(rabbit, channel, command);
    case "basic.qos":
      return qos(rabbit, channel, command);
    case "queue.declare":
      return queueDeclare(rabbit, channel, command);
    case "queue.delete":
      return queueDelete(rabbit, channel, command);
    case "queue.purge":
      return queuePurge(rabbit, channel, command);
    case "queue.bind":
      return queueBind(rabbit, channel, command);
    case "queue.unbind":
      return queueUnbind(rabbit, channel, command);
    case "exchange.declare":
      return exchangeDeclare(rabbit, channel, command);
    case "exchange.delete":
      return exchangeDelete(rabbit, channel, command);
    case "confirm.select":
      channel.published ??= 0;
      return rabbit.emit({ is: "confirm.select-ok", connection: channel.connection.id, channel: channel.id });
    case "channel.close":
      rabbit.emit({ is: "channel.close-ok", connection: channel.connection.id, channel: channel.id });
      return rabbit.closeChannels([channel]);
    case "channel.open":
    case "channel.close-ok":
      return undefined;
    default:
      throw new FakeUnsupported(`the command "${(command as { readonly do: string }).do}"`);
  }
}
