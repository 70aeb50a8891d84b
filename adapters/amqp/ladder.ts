/**
 * The delay that we keep on RabbitMQ: ladders of queues, each of which holds a message twice as long as the one below it.
 *
 * A message's delay in steps, as binary digits, is its routing key: at each rung the digit 1 leads into the rung's queue, the digit 0 past
 * it, and what a queue held long enough falls to the next rung. All messages of a queue wait equally long, since RabbitMQ lets only the
 * first of a queue run out of time. Below the last rung a header, not a pattern, leads to the one gate of the one queue that it came from;
 * the gate hands it over by that queue's name, and keeps it where there is no such queue.
 *
 * A ladder has all rungs, or it has the lowest three, and kombu's native delayed delivery before them holds a message for whole seconds.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import { DELAY_DELIVERY, DELAY_ENTRY, DELAY_TOP } from "../../src/protocol/native-delay.ts";

/** What the lowest rung holds a message, ms; delays are rounded up to it. */
export const STEP = 125;

/** Steps of a second, 2^3: kombu's lowest queue holds a message for one. */
const STEPS = 1000 / STEP;
const REST_TOP = 2;

/** The highest rung of all: 2^24 steps, 24 days. All together hold a message 48 days. */
const TOP = 24;

const NAME = "celeriac.delay";

/** Where every rung's ways end. */
const DUE = `${NAME}.due`;

/** Keeps what no gate takes: somebody deleted it. */
const UNDELIVERED = `${NAME}.undelivered`;

/** Names the queue to which a waiting message goes back. */
export const QUEUE_HEADER = "celeriac-queue";

/** RabbitMQ 4's quorum queues have these two lanes, and look only at the first message of one of them for its time. */
export const HIGH = 5;

/** Stands in a key for the name of a queue, after kombu's digits and before ours. */
const WORD = "celeriac-delay";

/** Rungs one below the other. */
export interface Ladder {
  /** Stands before the number of each rung. */
  readonly name: string;
  /** The number of the highest rung. */
  readonly top: number;
  /** Stands in every pattern before the digits. */
  readonly before: string;
  /** The exchange that leads to the top, besides what is published there. */
  readonly from?: string;
  /** Where a message is published so that it waits for `ms` at least, and by which key. */
  way(ms: number): { readonly exchange: string; readonly routingKey: string };
}

/** The ladder with all rungs for messages of this priority. */
export function ladderFor(priority: number): Ladder {
  return priority < HIGH ? LOW : UPPER;
}

const [LOW, UPPER] = [NAME, `${NAME}.high`].map((name): Ladder => ({
  ...{ name, top: TOP, before: "" },
  way: (ms) => ({ exchange: `${name}.${TOP}`, routingKey: digits(stepsIn(ms), TOP) }),
})) as [Ladder, Ladder];

/** The lowest rungs below kombu's queues, which hold a message for whole seconds. */
export const REST: Ladder = {
  name: `${NAME}.rest`,
  top: REST_TOP,
  before: `${"*.".repeat(DELAY_TOP + 1)}${WORD}.`,
  from: DELAY_DELIVERY,
  way(ms) {
    const steps = stepsIn(ms);
    const [seconds, rest] = [Math.floor(steps / STEPS), steps % STEPS];
    return {
      exchange: seconds === 0 ? `${REST.name}.${REST_TOP}` : DELAY_ENTRY,
      routingKey: `${digits(seconds, DELAY_TOP)}.${WORD}.${digits(rest, REST_TOP)}`,
    };
  },
};

function stepsIn(ms: number): number {
  return Math.max(0, Math.ceil(ms / STEP));
}

/** One for each rung from `top` down. */
function digits(steps: number, top: number): string {
  return [...steps.toString(2).padStart(top + 1, "0")].join(".");
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
export async function declareLadder(
  channel: AMQPChannel,
  { name, top, before, from }: Ladder,
): Promise<void> {
  const answers: Promise<unknown>[] = [
    channel.exchangeDeclare(UNDELIVERED, "fanout", DURABLE),
    channel.queueDeclare(UNDELIVERED, DURABLE, { "x-queue-type": "quorum" }),
    channel.queueBind(UNDELIVERED, UNDELIVERED, ""),
    channel.exchangeDeclare(DUE, "headers", DURABLE, { "alternate-exchange": UNDELIVERED }),
  ];
  for (const { name: rung, below, ttl, held, passed } of rungsOf({ name, top, before })) {
    answers.push(
      channel.exchangeDeclare(rung, "topic", DURABLE),
      channel.queueDeclare(rung, DURABLE, { ...KEPT, "x-message-ttl": ttl, "x-dead-letter-exchange": below }),
      channel.queueBind(rung, rung, held),
      channel.exchangeBind(below, rung, passed),
    );
  }
  if (from !== undefined) answers.push(channel.exchangeBind(`${name}.${top}`, from, `${before}#`));
  await all(answers);
}

/** Asks for a ladder, which somebody else declares. */
export async function findLadder(channel: AMQPChannel, ladder: Ladder): Promise<void> {
  await all(
    rungsOf(ladder).flatMap(({ name }) => [
      channel.exchangeDeclare(name, "topic", { passive: true }),
      channel.queueDeclare(name, { passive: true }),
    ]),
  );
}

/** The rungs of a ladder, the lowest first: `held` leads from the exchange of that name to its queue, `passed` to what is `below`. */
export function rungsOf({ name, top, before }: Pick<Ladder, "before" | "name" | "top">): readonly Rung[] {
  return Array.from({ length: top + 1 }, (_, rung) => {
    const digit = before + "*.".repeat(top - rung);
    return {
      name: `${name}.${rung}`,
      below: rung === 0 ? DUE : `${name}.${rung - 1}`,
      ttl: STEP * 2 ** rung,
      held: `${digit}1.#`,
      passed: `${digit}0.#`,
    };
  });
}

/** See {@link rungsOf}. */
interface Rung {
  readonly name: string;
  readonly below: string;
  readonly ttl: number;
  readonly held: string;
  readonly passed: string;
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
