/**
 * The queues in which messages are parked, declared before the first one is: 52 of them take a busy RabbitMQ longer than a test may wait.
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { declareLadder, ladderFor } from "../../adapters/amqp/ladder.ts";

export async function declareParking(url: string): Promise<void> {
  const client = await new AMQPClient(url).connect();
  const channel = await client.channel();
  for (const priority of [0, 9]) await declareLadder(channel, ladderFor(priority));
  await client.close();
}
