/**
 * Brokers that break what they promise of themselves, their links, their news and their end.
 *
 * @module
 */
import type { BrokerEvent } from "../../../../src/broker.ts";
import type { Saboteur } from "../saboteur.ts";
import { CONFIRMED, deafTo, endless, LATE, later, pause, refusal, swallowing } from "./tools.ts";

export const LIFE: readonly Saboteur[] = [
  {
    name: "the feature record promises another confirm",
    reds: ["broker > life: a broker declares its features"],
    twist: () => ({ broker: ({ features }) => ({ features: { ...features, confirm: "none" } }) }),
  },
  {
    name: "the address tells the password",
    reds: ["broker > life: a broker declares its features"],
    twist: () => ({ broker: () => ({ address: "amqp://guest:secret@127.0.0.1" }) }),
  },
  {
    name: "a broker connects when it is made",
    on: ["RabbitMQ", "Redis"],
    reds: ["broker > life: making a broker opens nothing"],
    twist: () => ({
      broker: (inner) => {
        void inner.connect().catch(() => {});
        return {};
      },
    }),
  },
  {
    name: "news of a link that nobody opened",
    on: ["RabbitMQ, a link for each call", "Redis over HTTP"],
    reds: ["broker > life: making a broker opens nothing"],
    twist: () => ({
      broker: (inner) => ({
        observe: (listener) => {
          listener({ is: "up", link: "publish" });
          return inner.observe(listener);
        },
      }),
    }),
  },
  {
    name: "connect and declare ignore signal and deadline",
    reds: ["broker > life: a connect that is given up", "broker > declare: a declaration that is given up"],
    twist: () => ({
      broker: (inner) => ({
        connect: () => inner.connect(),
        declare: (entities) => inner.declare(entities),
      }),
    }),
  },
  {
    name: "connect and declare end at their abort with an error of their own",
    reds: [
      "broker > life: a connect that is given up",
      "broker > declare: a declaration that is given up",
      "broker > loss: connect on a frozen network",
      "broker > loss: declare on a frozen network",
    ],
    twist: () => {
      const own = (error: unknown): never => {
        throw (error as { code?: string }).code === undefined ? refusal() : error;
      };
      return {
        broker: (inner) => ({
          connect: (call) => inner.connect(call).catch(own),
          declare: (entities, call) => inner.declare(entities, call).catch(own),
        }),
      };
    },
  },
  {
    name: "connect and declare end long after their deadline",
    reds: ["broker > loss: connect on a frozen network", "broker > loss: declare on a frozen network"],
    twist: () => ({
      broker: (inner) => ({
        connect: (call = {}) => inner.connect(later(call)),
        declare: (entities, call = {}) => inner.declare(entities, later(call)),
      }),
    }),
  },
  {
    name: "an observer cannot be disposed",
    reds: ["broker > life: an observer that was disposed", "broker > life: each observer is told"],
    twist: () => ({
      broker: (inner) => ({
        observe: (listener) => {
          inner.observe(listener);
          return { [Symbol.dispose]() {} };
        },
      }),
    }),
  },
  {
    name: "observers are kept by function, each once",
    on: ["RabbitMQ", "Redis"],
    reds: ["broker > life: each observer is told"],
    twist: () => ({
      broker: (inner) => {
        const listeners = new Set<(event: BrokerEvent) => void>();
        return {
          observe: (listener) => {
            if (listeners.has(listener)) return { [Symbol.dispose]() {} };
            listeners.add(listener);
            const observing = inner.observe((event) => listeners.has(listener) && listener(event));
            return { [Symbol.dispose]: () => observing[Symbol.dispose]() };
          },
        };
      },
    }),
  },
  {
    name: "connecting again opens the link again",
    reds: ["broker > life: connect opens the link once"],
    twist: () => ({
      broker: (inner) => ({
        connect: async (call) => {
          await inner.close();
          await inner.connect(call);
        },
      }),
    }),
  },
  {
    name: "a subscription where there is none is ready all the same",
    on: ["Redis over HTTP"],
    reds: ["broker > life: subscribing, which is not in the record"],
    twist: () => ({
      broker: () => ({
        subscribe: () => ({
          ready: Promise.resolve(),
          close: () => Promise.resolve(),
          [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }),
        }),
      }),
    }),
  },
  {
    name: "a broker that was closed stays closed",
    reds: [
      "broker > life: close may be called twice",
      "broker > life: a broker that was closed consumes again",
      "broker > life: closing the broker ends its subscriptions, and it subscribes again",
    ],
    twist: () => ({
      broker: (inner) => {
        let closed = false;
        const open = (): void => {
          if (closed) throw refusal();
        };
        return {
          close: (call) => {
            closed = true;
            return inner.close(call);
          },
          publish: async (batch, options) => {
            open();
            return await inner.publish(batch, options);
          },
          consume: (queues, options) => inner.consume(closed ? [] : queues, options),
        };
      },
    }),
  },
  {
    name: "a broker is closed once",
    reds: ["broker > life: close may be called twice", "broker > life: closing a broker that was never used"],
    twist: () => ({
      broker: (inner) => {
        let open = false;
        return {
          declare: (entities, call) => {
            open = true;
            return inner.declare(entities, call);
          },
          close: (call) => {
            if (!open) return Promise.reject(refusal());
            open = false;
            return inner.close(call);
          },
        };
      },
    }),
  },
  {
    name: "close abandons the publishes on their way",
    reds: ["broker > life: close waits for the publishes"],
    twist: () => ({
      broker: (inner) => {
        const leaving = new AbortController();
        return {
          publish: (batch, options) => inner.publish(batch, { ...options, signal: leaving.signal }),
          close: (call) => {
            leaving.abort();
            return inner.close(call);
          },
        };
      },
    }),
  },
  {
    name: "close complains of its abort",
    reds: ["broker > life: close with an aborted signal", "broker > loss: close lets go at once"],
    twist: () => ({
      broker: (inner) => ({
        close: async (call) => {
          await inner.close(call);
          call?.signal?.throwIfAborted();
        },
      }),
    }),
  },
  {
    name: "close ends long after its deadline and its abort",
    reds: ["broker > loss: close returns though nothing answers", "broker > loss: close lets go at once"],
    twist: () => ({
      broker: (inner) => ({
        close: async (call = {}) => {
          if (call.deadline !== undefined || call.signal !== undefined) await pause(LATE);
          await inner.close(call);
        },
      }),
    }),
  },
  {
    name: "close is not heard by iterations",
    reds: [
      "broker > life: closing the broker ends the iterations",
      "broker > life: a broker that was closed consumes again",
      "broker > life: closing the broker ends its subscriptions",
    ],
    twist: () => {
      const unending = <T>(source: AsyncIterable<T>): AsyncIterator<T> => {
        const inner = source[Symbol.asyncIterator]();
        return {
          next: async () => {
            const step = await inner.next();
            return step.done === true ? await new Promise<never>(() => {}) : step;
          },
        };
      };
      return {
        consumer: (inner) => ({ [Symbol.asyncIterator]: () => unending(inner) }),
        subscription: (inner) => ({ [Symbol.asyncIterator]: () => unending(inner) }),
      };
    },
  },
  {
    name: "nobody is told of what goes with a close",
    reds: ["broker > life: closing the broker ends the iterations of its consumers, and tells"],
    twist: () => ({ delivery: () => ({ onLost: () => ({ [Symbol.dispose]() {} }) }) }),
  },
  {
    name: "an observer is told of the close that came before it",
    reds: ["broker > loss: stop and close after a cut"],
    twist: () => ({
      broker: (inner) => {
        let closed: BrokerEvent | undefined;
        return {
          close: async (call) => {
            await inner.close(call);
            closed = { is: "down", link: "consume", error: refusal(), retryIn: undefined };
          },
          observe: (listener) => {
            if (closed !== undefined) listener(closed);
            return inner.observe(listener);
          },
        };
      },
    }),
  },
  {
    name: "a failure to connect or to declare is told as done",
    reds: [
      "broker > reach: connecting and declaring reject",
      "broker > declare: a binding to what does not exist",
      "broker > declare: a queue declared with other arguments",
      "broker > declare: what stands before a refused entity",
    ],
    twist: () => ({
      broker: (inner) => ({
        connect: (call) => swallowing(() => inner.connect(call)),
        declare: (entities, call) => swallowing(() => inner.declare(entities, call)),
      }),
    }),
  },
  {
    name: "what could not be sent is told as confirmed",
    reds: ["broker > reach: a publish is refused as not sent"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => {
          await inner.publish(batch, options);
          return batch.map(() => CONFIRMED);
        },
      }),
    }),
  },
  {
    name: "news of a link that is down or cannot be opened is not told",
    reds: [
      "broker > reach: a consumer waits, an observer learns",
      "broker > loss: an observer learns that a link went down",
      "broker > subscribe: a subscription that the broker refuses",
    ],
    twist: deafTo(({ is }) => is === "down"),
  },
  {
    name: "news of a link that is up again is not told",
    reds: ["broker > loss: an observer learns that a link went down and came up again"],
    twist: (world) => deafTo(({ is }) => is === "up" && world.cuts + world.freezes > 0)(),
  },
  {
    name: "news of an alarm is not told",
    reds: ["broker > server: under an alarm publishes"],
    twist: deafTo(({ is }) => is === "blocked"),
  },
  {
    name: "under an alarm everything waits for its end",
    on: ["RabbitMQ"],
    reds: ["broker > server: under an alarm publishes"],
    twist: () => ({
      broker: (inner) => ({ publish: (batch, options) => inner.publish(batch, endless(options ?? {})) }),
    }),
  },
];
