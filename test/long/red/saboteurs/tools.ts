/**
 * What several saboteurs are made of.
 *
 * @module
 */
import type {
  Broker,
  BrokerEvent,
  Call,
  Delivery,
  Entity,
  Outgoing,
  Verdict,
} from "../../../../src/broker.ts";
import type { Message } from "../../../../src/protocol/message.ts";
import { CeleriacError } from "../../../../src/errors.ts";
import type { Twist } from "../saboteur.ts";

/** Milliseconds by which something is late. */
export const LATE = 3500;

export const CONFIRMED: Verdict = { is: "confirmed" };

export function refusal(): CeleriacError {
  return new CeleriacError("sabotaged", "Refused by the saboteur.");
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a call waits for, `ms` longer. */
export function later<C extends Call>(call: C, ms: number = LATE): C {
  return call.deadline === undefined ? call : { ...call, deadline: call.deadline + ms };
}

/** The call without what ends it. */
export function endless<C extends Call>(call: C): Omit<C, keyof Call> {
  const { signal: _, deadline: __, ...rest } = call;
  return rest;
}

/** Each message is changed before it is sent. */
export function sending(change: (message: Message, outgoing: Outgoing) => Message): () => Twist {
  return posting((outgoing) => ({ ...outgoing, message: change(outgoing.message, outgoing) }));
}

/** Each of a batch is changed before it is sent. */
export function posting(change: (outgoing: Outgoing) => Outgoing): () => Twist {
  return () => ({
    broker: (inner) => ({ publish: (batch, options) => inner.publish(batch.map(change), options) }),
  });
}

/** Each verdict is changed before it is told. */
export function judging(change: (verdict: Verdict) => Verdict): () => Twist {
  return () => ({
    broker: (inner) => ({
      publish: async (batch, options) => (await inner.publish(batch, options)).map(change),
    }),
  });
}

/** The entities are changed before they are declared, by whatever call. */
export function declaring(change: (entities: readonly Entity[]) => readonly Entity[]): () => Twist {
  return () => ({
    broker: (inner) => ({
      declare: (entities, call) => inner.declare(change(entities), call),
      publish: (batch, { declare = [], ...call } = {}) =>
        inner.publish(batch, { ...call, declare: change(declare) }),
    }),
  });
}

/** What fails is told as done. */
export function swallowing(call: () => Promise<void>): Promise<void> {
  return call().catch(() => {});
}

/** Some news is not told. */
export function deafTo(is: (event: BrokerEvent) => boolean): () => Twist {
  return () => ({
    broker: (inner) => ({ observe: (listener) => inner.observe((event) => is(event) || listener(event)) }),
  });
}

/** Acks the delivery and sends its message to its queue once more. */
export async function again(
  delivery: Delivery,
  broker: Broker,
  change: (message: Message) => Message = (message) => message,
): Promise<"settled" | "stale"> {
  const { message, queue } = delivery;
  const to = { exchange: "", routingKey: queue };
  await broker.publish([{ message: change(message), to, mustRoute: false }]);
  return await delivery.settle({ as: "ack" });
}
