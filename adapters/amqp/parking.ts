/**
 * Parking: a confirmed copy of a delivery climbs down a ladder and comes back to the delivery's own queue. Where kombu's native delayed delivery
 * stands, it waits there but for the last fraction of a second; elsewhere on a ladder that is ours from top to bottom.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Delivery, Message, Outgoing, Verdict } from "../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";
import { freshCopy } from "../../src/protocol/copy.ts";
import { textOf } from "./errors.ts";
import {
  declareGate,
  declareLadder,
  findGate,
  findLadder,
  HIGH,
  type Ladder,
  ladderFor,
  QUEUE_HEADER,
  REST,
} from "./ladder.ts";
import { within } from "./limit.ts";
import type { Topology } from "./options.ts";

/** The longest park, ms: as long as a revoke is remembered. */
export const MAX_PARK: number = 28 * 86_400_000;

/**
 * How long the broker may take to confirm a copy, and to declare its way, ms: what is to wait stands in a window meanwhile, and may be due
 * before the publish is.
 */
const PATIENCE = 5000;

/** Tells how a message that waited came to its queue first. */
const ROUTE_HEADER = "celeriac-route";

/** Tells of a copy that its message was given out before: to go back for later is no reason to be taken for new. */
const RETURNED_HEADER = "celeriac-returned";

/** kombu's native delayed delivery, as its broker knows it. */
export interface NativeWay {
  /** Whether copies may wait there, where it stands: safe from the broker's death, and led to no queue besides. */
  carries(): boolean;
  /** Declares what is gone of it, where that is to be declared. */
  stand(): Promise<void>;
  /** It may be gone. */
  doubt(): void;
}

/** What parking needs of its broker. */
export interface ParkingSite {
  readonly native: NativeWay;
  readonly clock: Clock;
  readonly topology: Topology;
  /** Asks on a channel of its own. */
  ask(question: (channel: AMQPChannel) => Promise<void>): Promise<void>;
  publish(outgoing: Outgoing): Promise<Verdict>;
  /** Why the broker takes nothing at the moment; undefined where it does, as far as it said. */
  blocked(): string | undefined;
}

/** Sends a copy down a ladder. */
type Send = (ladder: Ladder) => Promise<Verdict>;

/** Parks the deliveries of one broker. The queues for it are declared when the first one is parked. */
export class Parking {
  readonly #site: ParkingSite;
  /** What was declared, or is being declared, by name. */
  readonly #standing: Map<string, Promise<void>> = new Map();
  /** Whether the way by kombu's queues was refused. */
  #refused = false;

  constructor(site: ParkingSite) {
    this.#site = site;
  }

  /** The next connection may be to another broker, which has the ladder and not the gate, and no publish tells. */
  forget(): void {
    this.#standing.clear();
    this.#refused = false;
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

  /** Why no copy waits, or undefined where one does. `returned`: it has been in hand; `late`: a copy waits after all. Never rejects. */
  async park(
    delivery: Delivery,
    until: number,
    returned: boolean,
    late: () => void,
  ): Promise<string | undefined> {
    const blocked = this.#site.blocked();
    if (blocked !== undefined) return `the broker takes no messages: ${blocked}`;
    try {
      const send = (ladder: Ladder): Promise<Verdict> =>
        this.#send(copyOf(delivery, returned), until, ladder, late);
      const verdict = await this.#natively(delivery, send) ??
        await this.#by(ladderFor(delivery.route.priority), delivery, send);
      const reason = reasonOf(verdict);
      this.#refused &&= reason === undefined;
      return reason;
    } catch (error) {
      // With neither way the next one tries both.
      this.#refused = false;
      return textOf(error);
    }
  }

  /** By kombu's queues and what is left below them. Undefined where that is not to be, or is refused; another refusal might be of the message. */
  async #natively(delivery: Delivery, send: Send): Promise<Verdict | undefined> {
    if (this.#refused || delivery.route.priority >= HIGH) return undefined;
    if (!this.#site.native.carries()) return undefined;
    try {
      const verdict = await this.#by(REST, delivery, send);
      if (!isGone(verdict) && !isForbidden(verdict)) return verdict;
    } catch (error) {
      if (error instanceof ConnectionError) throw error;
    }
    this.#refused = true;
    return undefined;
  }

  /** By one ladder; where somebody took it away, it is declared once more. */
  async #by(ladder: Ladder, delivery: Delivery, send: Send): Promise<Verdict> {
    await this.#stand(ladder, delivery.queue);
    const first = await send(ladder);
    if (!isGone(first)) return first;
    this.#standing.clear();
    this.#site.native.doubt();
    await this.#stand(ladder, delivery.queue);
    return await send(ladder);
  }

  /** Rejects where the confirm takes too long. */
  async #send(message: Message, until: number, ladder: Ladder, late: () => void): Promise<Verdict> {
    const { clock, publish } = this.#site;
    const sent = publish({ message, to: ladder.way(until - clock.now()), mustRoute: true });
    try {
      return await within(sent, { deadline: clock.now() + PATIENCE }, clock, "Parking");
    } catch (error) {
      // It may come yet: what never left is still sent by the deadline of a publish.
      void sent.then(({ is }) => is === "confirmed" && late(), () => {});
      throw error;
    }
  }

  /** Rejects where that takes too long; the next one may find it done. */
  #stand(ladder: Ladder, queue: string): Promise<void> {
    const { clock } = this.#site;
    return within(
      this.#declare(ladder, queue),
      { deadline: clock.now() + PATIENCE },
      clock,
      "Declaring where to park",
    );
  }

  async #declare(ladder: Ladder, queue: string): Promise<void> {
    const { native, topology } = this.#site;
    const declares = topology === "declare";
    if (ladder === REST) await native.stand();
    // A missing ladder is told by the publish; what is missing below kombu's queues is not, nor is a missing gate.
    if (declares || ladder === REST) {
      await this.#once(
        `ladder ${ladder.name}`,
        (channel) => (declares ? declareLadder : findLadder)(channel, ladder),
      );
    }
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

/** There is no right to send to it. */
function isForbidden(verdict: Verdict): boolean {
  return verdict.is === "refused" && /403/.test(verdict.reason);
}

function reasonOf(verdict: Verdict): string | undefined {
  if (verdict.is === "confirmed") return undefined;
  return verdict.is === "unroutable" ? "the delay queues are missing" : verdict.reason;
}
