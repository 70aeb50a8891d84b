/**
 * `exchange.*`: declare and delete.
 *
 * @module
 */
import { demandEqual, demandSame } from "../arguments.ts";
import type { Channel } from "../channel.ts";
import type { ExchangeDeclare, ExchangeDelete } from "../command.ts";
import { Exchange, EXCHANGE_TYPES, type KnownType } from "../exchange.ts";
import { FakeUnsupported, Fault } from "../fault.ts";
import type { Rabbit } from "../rabbit.ts";

/** Exchanges that every server has and the fake has not. */
const ABSENT: ReadonlySet<string> = new Set([
  "amq.headers",
  "amq.match",
  "amq.rabbitmq.trace",
  "amq.rabbitmq.log",
]);

/** Finds an exchange that must be there; a `Fault` 404 otherwise. */
export function demandExchange(rabbit: Rabbit, name: string): Exchange {
  if (ABSENT.has(name)) throw new FakeUnsupported(`the exchange "${name}"`);
  const exchange = rabbit.exchanges.get(name);
  if (exchange === undefined) throw new Fault(404, `no exchange '${name}' in vhost '/'`);
  return exchange;
}

function knownType(type: string): KnownType {
  const known = EXCHANGE_TYPES.find((one) => one === type);
  if (known !== undefined) return known;
  // RabbitMQ's own other types, and those of its plugins.
  if (type === "headers" || type.startsWith("x-")) throw new FakeUnsupported(`exchanges of type "${type}"`);
  throw new Fault(503, `unknown exchange type '${type}'`);
}

function declare(rabbit: Rabbit, command: ExchangeDeclare): void {
  const { exchange: name, passive = false, durable = false, autoDelete = false } = command;
  const table = command.arguments ?? {};
  if (passive) {
    if (name === "") throw new Fault(403, "operation not permitted on the default exchange");
    demandExchange(rabbit, name);
    return;
  }
  const type = knownType(command.type);
  for (const key of Object.keys(table)) throw new FakeUnsupported(`the exchange argument "${key}"`);
  if (name === "") throw new Fault(403, "operation not permitted on the default exchange");
  const current = ABSENT.has(name) ? demandExchange(rabbit, name) : rabbit.exchanges.get(name);
  if (current === undefined) {
    if (name.startsWith("amq.")) {
      throw new Fault(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
    }
    rabbit.exchanges.set(name, new Exchange(name, type, { durable, autoDelete, arguments: table }));
    return;
  }
  const what = `exchange '${name}'`;
  demandSame(what, "type", current.type, type);
  demandSame(what, "durable", current.durable, durable);
  demandSame(what, "auto_delete", current.autoDelete, autoDelete);
  demandEqual(what, current.arguments, table);
}

/** Declares, or asks whether it is there. */
export function exchangeDeclare(rabbit: Rabbit, channel: Channel, command: ExchangeDeclare): void {
  declare(rabbit, command);
  rabbit.emit({ is: "exchange.declare-ok", connection: channel.connection.id, channel: channel.id });
}

/** Deletes; what was bound to it stays. */
export function exchangeDelete(rabbit: Rabbit, channel: Channel, command: ExchangeDelete): void {
  const { exchange: name, ifUnused = false } = command;
  if (name === "") throw new Fault(403, "operation not permitted on the default exchange");
  if (name.startsWith("amq.")) {
    throw new Fault(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
  }
  const exchange = rabbit.exchanges.get(name);
  if (exchange !== undefined) {
    if (ifUnused && exchange.bound) throw new Fault(406, `exchange '${name}' in vhost '/' in use`);
    rabbit.exchanges.delete(name);
    for (const binding of [...exchange.bindings]) exchange.remove(binding);
  }
  rabbit.emit({ is: "exchange.delete-ok", connection: channel.connection.id, channel: channel.id });
}
