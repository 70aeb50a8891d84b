/**
 * Brokers that break what they promise of consumers: who gets what, how much at a time, and until when.
 *
 * @module
 */
import type { Consumer, Delivery } from "../../../../src/broker.ts";
import { RABBIT, type Saboteur, type Twist } from "../saboteur.ts";
import { mapped } from "../wrap.ts";
import { deafTo, pause, refusal } from "./tools.ts";

const NEVER = new Promise<never>(() => {});

/** Consumers are made with another window. */
function windowed(change: (prefetch: number, queues: readonly string[]) => number): () => Twist {
  return () => ({
    broker: (inner) => ({
      consume: (queues, { prefetch }) => inner.consume(queues, { prefetch: change(prefetch, queues) }),
    }),
  });
}

/** An iteration that gives each step to `step`. */
function stepping(
  inner: Consumer,
  step: (next: () => Promise<IteratorResult<Delivery>>) => Promise<IteratorResult<Delivery>>,
): Partial<Consumer> {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = inner[Symbol.asyncIterator]();
      return {
        next: () => step(() => iterator.next()),
        return: async (value) => await iterator.return?.(value) ?? { done: true, value: undefined },
      };
    },
  };
}

export const CONSUME: readonly Saboteur[] = [
  {
    name: "nothing is consumed",
    reds: ["broker > consume: a message published while a consumer waits", "broker > consume: prefetch 0"],
    twist: () => ({ broker: (inner) => ({ consume: (_, options) => inner.consume([], options) }) }),
  },
  {
    name: "everything comes as redelivered",
    reds: ["broker > consume: a waiting message comes first"],
    twist: () => ({ delivery: () => ({ redelivered: true }) }),
  },
  {
    name: "pairs of messages come in the wrong order",
    reds: [
      "broker > consume: a waiting message comes first",
      "broker > publish: a batch arrives in its order",
      "broker > publish: publishes that nobody awaited",
      "broker > consume: prefetch 0",
    ],
    twist: () => ({
      consumer: (inner) => {
        const kept: Delivery[] = [];
        return stepping(inner, async (next) => {
          const one = kept.pop();
          if (one !== undefined) return { done: false, value: one };
          const first = await next();
          if (first.done === true) return first;
          const second = await Promise.race([next(), pause(150)]);
          if (second === undefined || second.done === true) return first;
          kept.push(first.value);
          return second;
        });
      },
    }),
  },
  {
    name: "a delivery does not say where it comes from",
    reds: [
      "broker > route: a delivery says",
      "broker > consume: a waiting message comes first",
      "broker > consumer: a queue that is added",
    ],
    twist: () => ({
      delivery: (inner) => ({ queue: "", route: { ...inner.route, exchange: "", routingKey: "" } }),
    }),
  },
  {
    name: "the prefetch is ignored",
    reds: [
      "broker > consume: competing consumers share",
      "broker > consume: no more than prefetch",
      "broker > consume: prefetch counts per queue",
      "broker > consume: a queue that is named twice",
      "broker > consumer: adding a queue that is consumed already",
    ],
    twist: windowed(() => 0),
  },
  {
    name: "the window has one more",
    reds: ["broker > consume: no more than prefetch", "broker > consume: prefetch counts per queue"],
    twist: windowed((prefetch) => prefetch + 1),
  },
  {
    name: "the window is one for all queues",
    reds: ["broker > consume: prefetch counts per queue"],
    twist: windowed((prefetch, queues) =>
      queues.length > 1 ? Math.floor(prefetch / queues.length) : prefetch
    ),
  },
  {
    name: "prefetch 0 is a bound too",
    reds: ["broker > consume: prefetch 0"],
    twist: windowed((prefetch) => prefetch === 0 ? 10 : prefetch),
  },
  {
    name: "a queue that is named twice has the window twice",
    reds: ["broker > consume: a queue that is named twice"],
    twist: windowed((prefetch, queues) => prefetch * queues.length / new Set(queues).size),
  },
  {
    name: "attempts are told where nobody counts them",
    reds: ["broker > consume: attempts are counted"],
    twist: () => ({ delivery: () => ({ attempts: 0 }) }),
  },
  {
    name: "each delivery comes twice",
    reds: ["broker > consume: competing consumers share", "broker > publish: many concurrent publishes"],
    twist: () => ({
      consumer: (inner) => {
        let last: Delivery | undefined;
        return stepping(inner, async (next) => {
          const repeat = last;
          last = undefined;
          if (repeat !== undefined) return { done: false, value: repeat };
          const step = await next();
          last = step.value;
          return step;
        });
      },
    }),
  },
  {
    name: "an iteration ends when there is nothing",
    reds: [
      "broker > consume: a queue that does not exist is waited for",
      "broker > consumer: a consumer of no queue",
    ],
    twist: () => ({
      consumer: (inner) =>
        stepping(
          inner,
          (next) => Promise.race([next(), pause(30).then(() => ({ done: true, value: undefined }) as const)]),
        ),
    }),
  },
  {
    name: "an iteration that fails is silent",
    on: RABBIT,
    reds: ["broker > consume: a queue that does not exist and was not declared"],
    twist: () => ({ consumer: (inner) => stepping(inner, (next) => next().catch(() => NEVER)) }),
  },
  {
    name: "what is fatal is not told",
    reds: ["broker > consume: a queue that does not exist and was not declared"],
    twist: deafTo(({ is }) => is === "fatal"),
  },
  {
    name: "setPrefetch does nothing",
    reds: [
      "broker > consumer: a larger prefetch",
      "broker > consumer: a smaller prefetch",
      "broker > consumer: prefetch may be set",
    ],
    twist: () => ({ consumer: () => ({ setPrefetch: () => Promise.resolve() }) }),
  },
  {
    name: "add does nothing",
    reds: [
      "broker > consumer: a queue that is added",
      "broker > consumer: a consumer of no queue",
      "broker > consumer: adding a queue that was named already",
      "broker > consumer: a queue may be removed and added",
      "broker > consumer: adding a queue that does not exist",
      "broker > consumer: adding to a consumer that was stopped",
    ],
    twist: () => ({ consumer: () => ({ add: () => Promise.resolve() }) }),
  },
  {
    name: "adding a queue adds to the window",
    reds: ["broker > consumer: adding a queue that is consumed already"],
    twist: () => ({
      consumer: (inner) => ({
        add: async (queue) => {
          await inner.add(queue);
          await inner.setPrefetch(2);
        },
      }),
    }),
  },
  {
    name: "a queue that is refused ends the consumer",
    on: RABBIT,
    reds: ["broker > consumer: adding a queue that does not exist"],
    twist: () => ({
      consumer: (inner) => ({
        add: (queue) =>
          inner.add(queue).catch(async (error: unknown) => {
            await inner.stop();
            throw error;
          }),
      }),
    }),
  },
  {
    name: "remove does nothing",
    reds: [
      "broker > consumer: a queue that is removed is left alone",
      "broker > consumer: a removed queue gets back",
    ],
    twist: () => ({ consumer: () => ({ remove: () => Promise.resolve() }) }),
  },
  {
    name: "removing a queue that it does not have is an error",
    reds: ["broker > consumer: a queue may be removed and added"],
    twist: () => ({
      consumer: (inner, _broker, queues) => ({
        remove: (queue) => queues.includes(queue) ? inner.remove(queue) : Promise.reject(refusal()),
      }),
    }),
  },
  {
    name: "what came of a removed queue is given back, read or not",
    reds: ["broker > consumer: a queue that is removed is left alone"],
    twist: () => {
      const held: Delivery[] = [];
      return {
        consumer: (inner) => ({
          remove: async (queue) => {
            await inner.remove(queue);
            for (const delivery of held.splice(0)) await delivery.settle({ as: "requeue" });
          },
        }),
        delivery: (inner) => (held.push(inner), {}),
      };
    },
  },
  {
    name: "a settlement makes the window larger",
    reds: [
      "broker > consumer: what is settled of a queue before it was removed",
      "broker > consume: no more than prefetch deliveries are out",
    ],
    twist: () => ({
      delivery: (inner, consumer) => ({
        settle: async (how) => {
          await consumer.setPrefetch(3);
          return await inner.settle(how);
        },
      }),
    }),
  },
  {
    name: "stop does nothing",
    reds: [
      "broker > consumer: after stop nothing more is yielded",
      "broker > consumer: adding to a consumer that was stopped",
      "broker > loss: stop and close after a cut",
      "broker > reach: a consumer waits, an observer learns",
      "broker > consumer: stop ends a waiting iteration",
    ],
    twist: () => ({ consumer: () => ({ stop: () => Promise.resolve() }) }),
  },
  {
    name: "stop gives back nothing",
    reds: ["broker > consumer: after stop nothing more is yielded"],
    twist: () => ({
      consumer: (inner) => {
        const unread: Promise<IteratorResult<Delivery>>[] = [];
        let stopped = false;
        const iterator = inner[Symbol.asyncIterator]();
        // Reads ahead of who reads.
        const ahead = (): void => void unread.push(iterator.next());
        return {
          stop: () => {
            stopped = true;
            return inner.stop();
          },
          [Symbol.asyncIterator]: () => ({
            next: async () => {
              if (stopped) return { done: true, value: undefined };
              for (let count = unread.length; count < 4; count++) ahead();
              return await unread.shift() ?? { done: true, value: undefined };
            },
          }),
        };
      },
    }),
  },
  {
    name: "stopping again is an error",
    reds: ["broker > consumer: stop ends a waiting iteration"],
    twist: () => ({
      consumer: (inner) => {
        let stopped = false;
        return {
          stop: async () => {
            if (stopped) throw refusal();
            stopped = true;
            await inner.stop();
          },
        };
      },
    }),
  },
  {
    name: "leaving the loop ends the consumer",
    reds: ["broker > consumer: leaving the loop"],
    twist: () => ({
      consumer: (inner) => ({
        [Symbol.asyncIterator]: () => ({
          ...mapped(inner, (delivery) => delivery),
          return: async () => {
            await inner.stop();
            return { done: true, value: undefined };
          },
        }),
      }),
    }),
  },
  {
    name: "a consumer always looks alive",
    reds: [
      "broker > consumer: aliveAt is 0",
      "broker > loss: aliveAt stands still",
      "broker > reach: a consumer waits, an observer learns",
    ],
    twist: () => ({
      consumer: () => ({
        get aliveAt() {
          return Date.now();
        },
      }),
    }),
  },
  {
    name: "a consumer never looks alive",
    reds: ["broker > consumer: aliveAt is 0", "broker > loss: aliveAt stands still"],
    twist: () => ({ consumer: () => ({ aliveAt: 0 }) }),
  },
];
