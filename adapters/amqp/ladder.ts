/**
 * The delay that we keep on RabbitMQ: a ladder of queues, each of which holds a message twice as long as the one below it.
 *
 * A message's delay in steps, as binary digits, is its routing key: at each rung the digit 1 leads into the rung's queue, the digit 0 past
 * it, and what a queue held long enough falls to the next rung. All messages of a queue wait equally long, since RabbitMQ lets only the
 * first of a queue run out of time. Below the last rung a header, not a pattern, leads to the one gate of the one queue that it came from;
 * the gate hands it over by that queue's name, and keeps it where there is no such queue.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";

/** What the lowest rung holds a message, ms; delays are rounded up to it. */
export const STEP = 125;

/** The highest rung: 2^24 steps, 24 days. All together hold a message 48 days. */
const TOP = 24;

const NAME = "celeriac.delay";

/** Where every rung's ways end. */
const DUE = `${NAME}.due`;

/** Keeps what no gate takes: somebody deleted it. */
const UNDELIVERED = `${NAME}.undelivered`;

/** Names the queue to which a waiting message goes back. */
export const QUEUE_HEADER = "celeriac-queue";

/** RabbitMQ 4's quorum queues have these two lanes, and look only at the first message of one of them for its time. */
const HIGH = 5;

/** The ladder for messages of this priority. */
export function ladderFor(priority: number): string {
  return priority < HIGH ? NAME : `${NAME}.high`;
}

/** The exchange above a ladder's top. */
export function entryOf(ladder: string): string {
  return `${ladder}.${TOP}`;
}

/** The digits that make a message wait for `ms` at least. */
export function delayKey(ms: number): string {
  const steps = Math.max(0, Math.ceil(ms / STEP));
  return [...steps.toString(2).padStart(TOP + 1, "0")].join(".");
}

/**
 * Quorum queues that let go of a message only when the next queue has confirmed it: with classic ones, what is on its way as the broker
 * dies is lost.
 */
const KEPT = {
  "x-queue-type": "quorum",
  "x-dead-letter-strategy": "at-least-once",
  "x-overflow": "reject-publish",
};

const DURABLE = { durable: true };

/** Declares one ladder. Asked for together: one round trip. */
export async function declareLadder(channel: AMQPChannel, ladder: string): Promise<void> {
  const answers: Promise<unknown>[] = [
    channel.exchangeDeclare(UNDELIVERED, "fanout", DURABLE),
    channel.queueDeclare(UNDELIVERED, DURABLE, { "x-queue-type": "quorum" }),
    channel.queueBind(UNDELIVERED, UNDELIVERED, ""),
    channel.exchangeDeclare(DUE, "headers", DURABLE, { "alternate-exchange": UNDELIVERED }),
  ];
  for (let rung = 0; rung <= TOP; rung++) {
    const name = `${ladder}.${rung}`;
    const below = rung === 0 ? DUE : `${ladder}.${rung - 1}`;
    const digit = "*.".repeat(TOP - rung);
    answers.push(
      channel.exchangeDeclare(name, "topic", DURABLE),
      channel.queueDeclare(name, DURABLE, {
        ...KEPT,
        "x-message-ttl": STEP * 2 ** rung,
        "x-dead-letter-exchange": below,
      }),
      channel.queueBind(name, name, `${digit}1.#`),
      channel.exchangeBind(below, name, `${digit}0.#`),
    );
  }
  await all(answers);
}

/** The gate of a queue. */
function gateOf(queue: string): string {
  return `celeriac.due.${queue}`;
}

/** Asks for the gate of a queue, which somebody else declares. */
export async function findGate(channel: AMQPChannel, queue: string): Promise<void> {
  await channel.queueDeclare(gateOf(queue), { passive: true });
}

/** Declares the gate of a queue. */
export async function declareGate(channel: AMQPChannel, queue: string): Promise<void> {
  const gate = gateOf(queue);
  await all([
    channel.queueDeclare(gate, DURABLE, {
      ...KEPT,
      "x-message-ttl": 0,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": queue,
    }),
    channel.queueBind(gate, DUE, "", { "x-match": "all", [QUEUE_HEADER]: queue }),
  ]);
}

/** Where one question is refused the channel is closed, and all others with it: the first refusal is the reason. */
async function all(answers: readonly Promise<unknown>[]): Promise<void> {
  for (const answer of await Promise.allSettled(answers)) {
    if (answer.status === "rejected") throw answer.reason;
  }
}
