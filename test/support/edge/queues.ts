/**
 * What an edge function has put into a broker, seen from the other side.
 *
 * @module
 */
import { AMQPClient } from "@cloudamqp/amqp-client";
import { Redis } from "ioredis";
import { inject } from "vitest";

/** Task ids of the messages in RabbitMQ's queue, in order; they are taken out. */
export async function takeRabbit(queue: string): Promise<string[]> {
  const connection = await new AMQPClient(inject("amqp")).connect();
  try {
    const channel = await connection.channel();
    const ids: string[] = [];
    for (;;) {
      const message = await channel.basicGet(queue, { noAck: true });
      if (message === null) return ids;
      ids.push(String(message.properties.headers?.["id"]));
    }
  } finally {
    await connection.close();
  }
}

/** Deletes RabbitMQ's queue. */
export async function deleteRabbit(queue: string): Promise<void> {
  const connection = await new AMQPClient(inject("amqp")).connect();
  try {
    await (await connection.channel()).queueDelete(queue);
  } finally {
    await connection.close();
  }
}

/** Task ids of the messages in Redis' list, the oldest first; they are taken out. */
export async function takeRedis(queue: string): Promise<string[]> {
  const redis = new Redis(inject("redis"));
  try {
    const texts = await redis.lrange(queue, 0, -1);
    await redis.del(queue);
    return texts.reverse().map((text) => {
      const { headers } = JSON.parse(text) as { readonly headers: { readonly id: string } };
      return headers.id;
    });
  } finally {
    redis.disconnect();
  }
}

/** Deletes what kombu keeps of the queue. */
export async function deleteRedis(queue: string): Promise<void> {
  const redis = new Redis(inject("redis"));
  try {
    await redis.del(queue, `_kombu.binding.${queue}`);
  } finally {
    redis.disconnect();
  }
}

/** RabbitMQ's credentials and vhost at another address: `ws://user:password@host:port?vhost=...`. */
export function atRelay(relay: string): string {
  const { username, password, pathname } = new URL(inject("amqp"));
  const vhost = pathname.slice(1) || "/";
  return `${relay.replace("://", `://${username}:${password}@`)}?vhost=${vhost}`;
}
