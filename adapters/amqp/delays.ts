/**
 * kombu's native delayed delivery: its exchanges, queues and bindings, as a Python worker declares them, so that neither meets a 406.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { BindingEntity, DelayQueueType, DelayWay, Entity } from "../../src/broker.ts";
import { explaining } from "../../src/lib/mismatch.ts";
import {
  DELAY_DELIVERY,
  DELAY_TOP,
  delayLevel,
  delayPattern,
  kombuPattern,
  topicMatches,
} from "../../src/protocol/native-delay.ts";
import type { Control } from "./control.ts";
import { declareAll } from "./declare.ts";
import type { Epoch } from "./epoch.ts";
import { channelError } from "./errors.ts";

/** An exchange that gets what another one leads to it. */
export interface ExchangeLink {
  readonly exchange: string;
  readonly from: string;
  readonly routingKey: string;
}

/** So many ways out there may be: messages bring names of queues, and each way stays in the broker. */
const MOST_WAYS = 1000;

const LEVELS: readonly number[] = Array.from({ length: DELAY_TOP + 1 }, (_, at) => DELAY_TOP - at);

function exchange(name: string): Entity {
  return { kind: "exchange", name, type: "topic", durable: true, autoDelete: false };
}

/** The exchange and the queue of each level, and what binds them. */
export function delayEntities(type: DelayQueueType): Entity[] {
  return [
    exchange(DELAY_DELIVERY),
    ...LEVELS.flatMap((level): Entity[] => {
      const name = delayLevel(level);
      return [
        exchange(name),
        {
          kind: "queue",
          name,
          durable: true,
          exclusive: false,
          autoDelete: false,
          arguments: {
            "x-queue-type": type,
            "x-overflow": "reject-publish",
            "x-message-ttl": 1000 * 2 ** level,
            "x-dead-letter-exchange": level === 0 ? DELAY_DELIVERY : delayLevel(level - 1),
            ...(type === "quorum" && { "x-dead-letter-strategy": "at-least-once" }),
          },
        },
        { kind: "binding", queue: name, exchange: name, routingKey: `${digitsBefore(level)}1.#` },
      ];
    }),
  ];
}

/** What goes past a level's queue goes to the level below. */
export function delayLinks(): ExchangeLink[] {
  return LEVELS.map((level) => ({
    exchange: level === 0 ? DELAY_DELIVERY : delayLevel(level - 1),
    from: delayLevel(level),
    routingKey: `${digitsBefore(level)}0.#`,
  }));
}

/** The way out into one queue, where there is one: both bindings by the same key. */
function wayOut(
  { exchange, queue, routingKey }: DelayWay,
): readonly [ExchangeLink, BindingEntity] | undefined {
  const pattern = delayPattern(routingKey);
  return pattern === undefined ? undefined : [
    { exchange, from: DELAY_DELIVERY, routingKey: pattern },
    { kind: "binding", queue, exchange, routingKey: pattern },
  ];
}

function digitsBefore(level: number): string {
  return "*.".repeat(DELAY_TOP - level);
}

/** Where it is declared. */
export interface DelaySite {
  readonly epoch: Epoch;
  readonly control: Control;
  /** The broker's other connection. */
  readonly elsewhere: Epoch | undefined;
}

/** What one broker declared of it, and on which connections that still holds. */
export class Delays {
  #type: DelayQueueType | undefined;
  readonly #ways: Map<string, DelayWay> = new Map();
  /** By which keys queues are bound that it leads into, whoever declared that; by their ways. */
  readonly #keys: Map<string, string> = new Map();
  readonly #standing: WeakMap<Epoch, Set<string>> = new WeakMap();
  /** Connections on which it was refused. */
  readonly #refused: WeakSet<Epoch> = new WeakSet();

  /** Which queue type was declared last. */
  get type(): DelayQueueType | undefined {
    return this.#type;
  }

  /** These ways out are there, or may be. False where there are too many others: these are not to be. */
  expect(ways: readonly DelayWay[]): boolean {
    const more = ways.filter((way) => !this.#keys.has(nameOf(way)));
    if (this.#keys.size + more.length > Math.max(MOST_WAYS, ways.length)) return false;
    for (const way of more) this.#keys.set(nameOf(way), way.routingKey);
    return true;
  }

  /**
   * Whether what has this key would come out in a queue: by our binding or by that of a Python worker, which takes more. With any digits in the
   * place of its zeros: which ones, is known too late.
   */
  leads(key: string): boolean {
    return [...this.#keys.values()].some((routingKey) => {
      const pattern = kombuPattern(routingKey).split(".").map((word) => word === "1" ? "0" : word).join(".");
      return topicMatches(pattern, key);
    });
  }

  /** Whether all of it stands by one of these connections. */
  stands(ways: readonly DelayWay[], type: DelayQueueType, epochs: readonly (Epoch | undefined)[]): boolean {
    const names = [type, ...ways.map(nameOf)];
    return epochs.some((epoch) => {
      const standing = epoch?.lost === undefined ? epoch && this.#standing.get(epoch) : undefined;
      return standing !== undefined && names.every((name) => standing.has(name));
    });
  }

  /**
   * Declares what does not stand yet, and remembers it.
   *
   * @throws {ConfigurationError} naming the first entity that was refused.
   */
  async declare(
    ways: readonly DelayWay[],
    type: DelayQueueType,
    { epoch, control }: Omit<DelaySite, "elsewhere">,
  ): Promise<void> {
    await explaining(control.ask(epoch, async (channel) => {
      let standing = this.#standing.get(epoch);
      if (standing === undefined) this.#standing.set(epoch, standing = new Set());
      if (!standing.has(type)) {
        await declareAll(delayEntities(type), "declare", channel);
        await linkAll(delayLinks(), channel);
        standing.add(this.#type = type);
      }
      const due = ways.filter((way) => !standing.has(nameOf(way)));
      const out = due.map(wayOut).filter((way) => way !== undefined);
      await linkAll(out.map(([link]) => link), channel);
      await declareAll(out.map(([, binding]) => binding), "declare", channel);
      for (const way of due) {
        standing.add(nameOf(way));
        this.#ways.set(nameOf(way), way);
      }
    }));
  }

  /** Declares what is remembered and does not stand, once a connection; a refusal is told and left. */
  async restore({ epoch, control, elsewhere }: DelaySite, refused: (error: Error) => void): Promise<void> {
    const [type, ways] = [this.#type, [...this.#ways.values()]];
    if (type === undefined || this.#refused.has(epoch) || this.stands(ways, type, [epoch, elsewhere])) return;
    try {
      await this.declare(ways, type, { epoch, control });
    } catch (error) {
      if (epoch.lost !== undefined) throw epoch.lost;
      this.#refused.add(epoch);
      refused(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Something that was declared is gone: nothing is taken for granted any more. */
  doubt(...epochs: readonly (Epoch | undefined)[]): void {
    for (const epoch of epochs) {
      if (epoch === undefined) continue;
      this.#standing.delete(epoch);
      this.#refused.delete(epoch);
    }
  }
}

/** Asked for together: one round trip. */
async function linkAll(links: readonly ExchangeLink[], channel: AMQPChannel): Promise<void> {
  const answers = await Promise.allSettled(
    links.map(({ exchange, from, routingKey }) => channel.exchangeBind(exchange, from, routingKey)),
  );
  for (const [at, answer] of answers.entries()) {
    if ("reason" in answer) {
      throw channelError({ kind: "exchange", name: links[at]?.exchange ?? "" }, answer.reason);
    }
  }
}

function nameOf({ exchange, queue, routingKey }: DelayWay): string {
  return JSON.stringify([exchange, queue, routingKey]);
}
