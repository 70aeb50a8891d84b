/**
 * Parking: a confirmed copy of a delivery climbs down the ladder and comes back to the delivery's own queue.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Delivery, Message, Outgoing, Verdict } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";
import { freshCopy } from "../../src/protocol/copy.ts";
import { textOf } from "./errors.ts";
import {
  declareGate,
  declareLadder,
  delayKey,
  entryOf,
  findGate,
  ladderFor,
  QUEUE_HEADER,
} from "./ladder.ts";
import type { Topology } from "./options.ts";

/** The longest park, ms: as long as a revoke is remembered. */
export const MAX_PARK: number = 28 * 86_400_000;

/** Tells how a message that waited came to its queue first. */
const ROUTE_HEADER = "celeriac-route";

/** Tells of a copy that its message was given out before: to go back for later is no reason to be taken for new. */
const RETURNED_HEADER = "celeriac-returned";

/** What parking needs of its broker. */
export interface ParkingSite {
  readonly clock: Clock;
  readonly topology: Topology;
  /** Asks on a channel of its own. */
  ask(question: (channel: AMQPChannel) => Promise<void>): Promise<void>;
  publish(outgoing: Outgoing): Promise<Verdict>;
}

/** Parks the deliveries of one broker. The queues for it are declared when the first one is parked. */
export class Parking {
  readonly #site: ParkingSite;
  /** What was declared, or is being declared, by name. */
  readonly #standing: Map<string, Promise<void>> = new Map();

  constructor(site: ParkingSite) {
    this.#site = site;
  }

  /** The next connection may be to another broker, which has the ladder and not the gate, and no publish tells. */
  forget(): void {
    this.#standing.clear();
  }

  /** How long it would wait, ms. Throws `ConfigurationError` "park-too-long". */
  delay(until: number): number {
    const ms = until - this.#site.clock.now();
    if (ms <= MAX_PARK) return ms;
    throw new ConfigurationError(
      "park-too-long",
      "A message cannot be parked for so long (features.maxPark).",
    );
  }

  /** Why no copy waits, or undefined where one does. `returned`: it has been in hand. Never rejects. */
  async park(delivery: Delivery, until: number, returned: boolean): Promise<string | undefined> {
    try {
      const ladder = ladderFor(delivery.route.priority);
      await this.#declare(ladder, delivery.queue);
      const first = await this.#send(copyOf(delivery, returned), until, ladder);
      if (!isGone(first)) return reasonOf(first);
      // Somebody took the ladder away.
      this.#standing.clear();
      await this.#declare(ladder, delivery.queue);
      return reasonOf(await this.#send(copyOf(delivery, returned), until, ladder));
    } catch (error) {
      return textOf(error);
    }
  }

  async #send(message: Message, until: number, ladder: string): Promise<Verdict> {
    const { clock, publish } = this.#site;
    return await publish({
      message,
      to: { exchange: entryOf(ladder), routingKey: delayKey(until - clock.now()) },
      mustRoute: true,
    });
  }

  async #declare(ladder: string, queue: string): Promise<void> {
    const declares = this.#site.topology === "declare";
    // A missing ladder is told by the publish; a missing gate is not.
    if (declares) await this.#once(`ladder ${ladder}`, (channel) => declareLadder(channel, ladder));
    await this.#once(`gate ${queue}`, (channel) => (declares ? declareGate : findGate)(channel, queue));
  }

  #once(what: string, declare: (channel: AMQPChannel) => Promise<void>): Promise<void> {
    const standing = this.#standing.get(what);
    if (standing !== undefined) return standing;
    const declaring = this.#site.ask(declare);
    this.#standing.set(what, declaring);
    // The next one tries again.
    declaring.catch(() => {
      if (this.#standing.get(what) === declaring) this.#standing.delete(what);
    });
    return declaring;
  }
}

/** The message as it waits. `returned`: it has been in hand. */
export function copyOf({ message, queue, route }: Delivery, returned: boolean): Message {
  return freshCopy(message, {
    [QUEUE_HEADER]: queue,
    [ROUTE_HEADER]: [route.exchange, route.routingKey],
    ...(returned ? { [RETURNED_HEADER]: true } : {}),
  });
}

/** The way by which a message that waited came first: exchange and routing key. Undefined for one that did not wait. */
export function firstRoute(
  headers: Readonly<Record<string, unknown>> | undefined,
): [string, string] | undefined {
  const route: unknown = headers?.[ROUTE_HEADER];
  if (!Array.isArray(route)) return undefined;
  const [exchange, routingKey] = route as unknown[];
  return typeof exchange === "string" && typeof routingKey === "string" ? [exchange, routingKey] : undefined;
}

/** Whether it is the copy of a message that went back for later. */
export function isReturned(headers: Readonly<Record<string, unknown>> | undefined): boolean {
  return headers !== undefined && Object.hasOwn(headers, RETURNED_HEADER);
}

/** Without our mark: the headers are the sender's. */
export function unmarked(message: Message): Message {
  if (!isReturned(message.headers)) return message;
  const { [RETURNED_HEADER]: _, ...headers } = message.headers;
  return { ...message, headers };
}

/** The ladder's exchange is missing, or leads nowhere. */
function isGone(verdict: Verdict): boolean {
  return verdict.is === "unroutable" || (verdict.is === "refused" && /404|no exchange/i.test(verdict.reason));
}

function reasonOf(verdict: Verdict): string | undefined {
  if (verdict.is === "confirmed") return undefined;
  return verdict.is === "unroutable" ? "the delay queues are missing" : verdict.reason;
}
