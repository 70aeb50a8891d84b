/**
 * Wrappers that pass on everything but what a saboteur has put in its place.
 *
 * @module
 */
import type { Backend } from "../../../src/backend.ts";
import type { Broker, Consumer, Subscription } from "../../../src/broker.ts";
import type { Twist } from "./saboteur.ts";

/** `inner`, with the members of `own` instead of its own. */
export function replaced<T extends object>(inner: T, own: Partial<T> = {}): T {
  return new Proxy(inner, {
    get(_target, key) {
      const from: object = Reflect.has(own, key) ? own : inner;
      const value: unknown = Reflect.get(from, key, from);
      return typeof value === "function" ? value.bind(from) as unknown : value;
    },
  });
}

/** An iteration whose values are exchanged on the way. */
export function mapped<T>(source: AsyncIterable<T>, change: (value: T) => T): AsyncIterator<T> {
  const inner = source[Symbol.asyncIterator]();
  return {
    next: async () => {
      const step = await inner.next();
      return step.done === true ? step : { done: false, value: change(step.value) };
    },
    return: async (value) => await inner.return?.(value) ?? { done: true, value: undefined },
  };
}

export function sabotagedBroker(inner: Broker, twist: Twist): Broker {
  const own = twist.broker?.(inner) ?? {};
  const seen = replaced(inner, own);
  return replaced(seen, {
    consume: (queues, options): Consumer => {
      const consumer = seen.consume(queues, options);
      const spoilt = replaced(consumer, twist.consumer?.(consumer, inner, queues));
      return replaced(spoilt, {
        [Symbol.asyncIterator]: () =>
          mapped(spoilt, (delivery) => replaced(delivery, twist.delivery?.(delivery, consumer, inner))),
      });
    },
    subscribe: (inbox): Subscription => {
      const subscription = seen.subscribe(inbox);
      return replaced(subscription, twist.subscription?.(subscription, inner));
    },
  });
}

export function sabotagedBackend(inner: Backend, twist: Twist): Backend {
  const { facts } = inner;
  const own = twist.backend?.(inner);
  if (facts === undefined || twist.facts === undefined) return replaced(inner, own);
  return replaced(inner, { ...own, facts: replaced(facts, twist.facts(facts)) });
}
