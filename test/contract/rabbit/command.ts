/**
 * Steps as commands of the reducer.
 *
 * @module
 */
import type { Command } from "../../../adapters/memory/rabbit/command.ts";
import type { PublishStep, Step, WaitStep } from "./step.ts";

interface On {
  readonly connection: number;
  readonly channel: number;
}

function publishes(step: PublishStep, { connection, channel }: On): readonly Command[] {
  const { exchange, routingKey, mandatory, priority, expiration, persistent } = step;
  const properties = {
    ...(priority === undefined ? {} : { priority }),
    ...(expiration === undefined ? {} : { expiration }),
    ...(persistent === true ? { delivery_mode: 2 } : {}),
  };
  return step.bodies.map((text) => {
    const body = new TextEncoder().encode(text);
    const message = { headers: {}, properties, contentType: "", contentEncoding: "", body };
    return { do: "basic.publish", connection, channel, exchange, routingKey, mandatory, message };
  });
}

/** The commands of a step. */
export function commandOf(step: Exclude<Step, WaitStep>, at: On): readonly Command[] {
  const on: On = { connection: at.connection, channel: at.channel };
  switch (step.do) {
    case "declare":
      return [{ ...step, ...on, do: "queue.declare" }];
    case "delete":
      return [{ ...step, ...on, do: "queue.delete" }];
    case "purge":
      return [{ ...step, ...on, do: "queue.purge" }];
    case "exchange":
      return [{ ...step, ...on, do: "exchange.declare" }];
    case "deleteExchange":
      return [{ ...step, ...on, do: "exchange.delete" }];
    case "bind":
    case "unbind":
      return [{ ...step, ...on, do: `queue.${step.do}` }];
    case "publish":
      return publishes(step, on);
    case "qos":
      return [{ ...step, ...on, do: "basic.qos" }];
    case "consume": {
      const { tag: consumerTag, priority } = step;
      const table = priority === undefined ? {} : { "x-priority": priority };
      return [{ ...step, ...on, do: "basic.consume", consumerTag, arguments: table }];
    }
    case "cancel":
      return [{ ...on, do: "basic.cancel", consumerTag: step.tag }];
    case "get":
      return [{ ...step, ...on, do: "basic.get" }];
    case "ack":
    case "nack":
    case "reject":
      return [{ ...step, ...on, do: `basic.${step.do}` }];
    case "confirm":
      return [{ ...on, do: "confirm.select" }];
    case "recover":
      return [{ ...on, do: "basic.recover", requeue: true }];
    case "close":
      return [{ ...on, do: "channel.close" }];
    case "open":
      return [{ ...on, do: "channel.open" }];
    case "closeConnection":
      return [{ do: "connection.close", connection: on.connection }];
    case "drop":
      return [{ do: "connection.drop", connection: on.connection }];
  }
}
