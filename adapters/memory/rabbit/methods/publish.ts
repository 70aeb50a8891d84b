/**
 * `basic.publish` with its returns and confirms.
 *
 * @module
 */
import type { Message } from "../../../../src/broker.ts";
import { LONGEST_TIME } from "../arguments.ts";
import type { Channel } from "../channel.ts";
import type { Publish } from "../command.ts";
import { FakeUnsupported, Fault } from "../fault.ts";
import type { Rabbit } from "../rabbit.ts";

/** `expiration` is text: what Erlang's `string:to_integer` reads to the end, not negative, at most ten years. */
function demandExpiration(value: unknown): void {
  const [all, digits] = typeof value === "string" ? /^([+-]?[0-9]+).*$/s.exec(value) ?? [] : [];
  const refuse = (why: string) => new Fault(406, `invalid expiration '${String(value)}': ${why}`);
  if (all === undefined || digits === undefined) throw refuse("no_integer");
  if (all !== digits) throw refuse(`{leftover_string,"${all.slice(digits.length)}"}`);
  if (Number(digits) < 0) throw refuse(`{value_negative,${Number(digits)}}`);
  if (Number(digits) > LONGEST_TIME) throw refuse(`{value_too_large,${Number(digits)}}`);
}

/** Throws {@link FakeUnsupported} for what the fake does not know of a message, a `Fault` for what RabbitMQ refuses. */
export function demandKnown(message: Message): void {
  const { headers, properties } = message;
  if (properties["expiration"] !== undefined) demandExpiration(properties["expiration"]);
  if (properties["user_id"] !== undefined) throw new FakeUnsupported("the property user_id");
  if ("CC" in headers || "BCC" in headers) throw new FakeUnsupported("the headers CC and BCC");
}

/** Routes a message into its queues; whether it reached any, and whether one of them refused it. */
function place(
  rabbit: Rabbit,
  command: Publish,
  confirms: boolean,
): { readonly routed: boolean; readonly refused: boolean } {
  const queues = rabbit.route(command.exchange, command.routingKey);
  if (queues === undefined) throw new Fault(404, `no exchange '${command.exchange}' in vhost '/'`);
  if (command.refused === true) return { routed: true, refused: true };
  const { notBefore } = command;
  if (notBefore !== undefined && notBefore > rabbit.now) {
    if (queues.length > 0) {
      const { exchange, routingKey, message } = command;
      rabbit.delayed.push({ at: notBefore, order: rabbit.order(), exchange, routingKey, message });
    }
    return { routed: queues.length > 0, refused: false };
  }
  let refused = false;
  for (const queue of queues) {
    if (!queue.accept(command.message, command.exchange, command.routingKey, { confirms })) refused = true;
  }
  return { routed: queues.length > 0, refused };
}

/** Publishes. A return comes before its confirmation; one queue that refuses makes it a nack, though others took the message. */
export function publish(rabbit: Rabbit, channel: Channel, command: Publish): void {
  const { message } = command;
  if (message.body.byteLength > rabbit.limits.maxMessage) {
    throw new Fault(
      406,
      `message size ${message.body.byteLength} is larger than configured max size ${rabbit.limits.maxMessage}`,
    );
  }
  demandKnown(message);
  const { routed, refused } = place(rabbit, command, channel.published !== undefined);
  const [connection, id] = [channel.connection.id, channel.id];
  if (!routed && command.mandatory === true) {
    const { exchange, routingKey } = command;
    rabbit.emit({
      is: "basic.return",
      connection,
      channel: id,
      code: 312,
      text: "NO_ROUTE",
      exchange,
      routingKey,
      message,
    });
  }
  if (channel.published === undefined) return;
  const deliveryTag = ++channel.published;
  rabbit.emit({
    is: refused ? "basic.nack" : "basic.ack",
    connection,
    channel: id,
    deliveryTag,
    multiple: false,
  });
}
