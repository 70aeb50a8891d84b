/**
 * Brokers that break what they promise of a delivery's end.
 *
 * @module
 */
import type { Consumer, Delivery, Settlement } from "../../../../src/broker.ts";
import { RABBIT, REDIS, type Saboteur } from "../saboteur.ts";
import { again } from "./tools.ts";

const SETTLED = Promise.resolve("settled" as const);
const WITHOUT = { [Symbol.dispose]() {} };

export const SETTLE: readonly Saboteur[] = [
  {
    name: "settle sends nothing",
    reds: [
      "broker > settle: what was settled as ",
      "broker > settle: out of order settlements",
      "broker > settle: a requeued message comes again",
      "broker > settle: hundreds of settlements",
      "broker > settle: a rejected message goes",
      "broker > park: parking until an instant that is over",
    ],
    twist: () => ({ delivery: () => ({ settle: () => SETTLED }) }),
  },
  {
    name: "settlements wait for an orderly close",
    on: RABBIT,
    reds: ["broker > settle: stop flushes"],
    twist: () => {
      const waiting: (() => Promise<unknown>)[] = [];
      return {
        broker: (inner) => ({
          close: async (call) => {
            if (call?.signal?.aborted !== true) {
              await Promise.all(waiting.splice(0).map((settle) => settle()));
            }
            await inner.close(call);
          },
        }),
        delivery: (inner) => ({
          settle: (how) => {
            waiting.push(() => inner.settle(how));
            return SETTLED;
          },
        }),
      };
    },
  },
  {
    name: "a settlement reaches the oldest that is held",
    reds: ["broker > settle: out of order settlements", "broker > settle: hundreds of settlements"],
    twist: () => {
      const held: Delivery[] = [];
      return {
        delivery: (inner) => {
          held.push(inner);
          return { settle: (how) => held.shift()?.settle(how) ?? SETTLED };
        },
      };
    },
  },
  {
    name: "a second settlement is let through",
    reds: ["broker > settle: a second settlement throws", "broker > lost delivery: settling twice throws"],
    twist: () => ({
      delivery: (inner) => {
        let first: Promise<"settled" | "stale"> | undefined;
        return { settle: (how) => first ??= inner.settle(how) };
      },
    }),
  },
  {
    name: "every settlement is an ack",
    reds: [
      "broker > settle: a requeued message comes again",
      "broker > settle: hundreds of settlements",
      "broker > settle: a rejected message goes",
      "broker > park: a message settled as ",
      "broker > consume: attempts are counted",
    ],
    twist: () => ({ delivery: (inner) => ({ settle: () => inner.settle({ as: "ack" }) }) }),
  },
  {
    name: "a reject puts it back",
    reds: ["broker > settle: what was settled as reject"],
    twist: () => ({
      delivery: (inner) => ({
        settle: (how) => inner.settle(how.as === "reject" ? { as: "requeue" } : how),
      }),
    }),
  },
  {
    name: "what comes again is not flagged",
    reds: [
      "broker > settle: what was not settled is back",
      "broker > settle: a requeued message comes again",
      "broker > park: a message settled as requeue",
      "broker > lost delivery: a delivery of a lost link",
    ],
    twist: () => ({ delivery: () => ({ redelivered: false }) }),
  },
  {
    name: "what came by a link that is gone is told as settled",
    reds: [
      "broker > settle: settling after close",
      "broker > lost delivery: a delivery of a lost link",
      "broker > lost delivery: ack of",
      "broker > lost delivery: reject of",
      "broker > lost delivery: requeue of",
      "broker > lost delivery: a stale settlement",
      "broker > lost delivery: a park whose link",
    ],
    twist: () => ({
      delivery: (inner) => ({
        settle: (how) => {
          const fate = inner.settle(how);
          return fate.then(() => "settled", () => "settled");
        },
      }),
    }),
  },
  {
    name: "what was held before a restart is told as settled",
    on: RABBIT,
    reds: ["broker > server: durable queues"],
    twist: (world) => ({
      delivery: (inner) => ({
        settle: async (how) => {
          const word = await inner.settle(how);
          return world.restarts > 0 ? "settled" : word;
        },
      }),
    }),
  },
  {
    name: "what was held before a restart is told as stale",
    on: REDIS,
    reds: ["broker > server: durable queues"],
    twist: (world) => ({
      delivery: (inner) => ({
        settle: async (how) => {
          const word = await inner.settle(how);
          return world.restarts > 0 ? "stale" : word;
        },
      }),
    }),
  },
  {
    name: "what waits is gone with a restart",
    reds: ["broker > server: durable queues"],
    twist: (world) => ({
      consumer: (_inner, broker, queues) => {
        world.onRestart.push(() => Promise.all(queues.map((queue) => broker.purge(queue))));
        return {};
      },
    }),
  },
  {
    name: "a requeue goes to the back",
    reds: ["broker > settle: requeued messages stand"],
    twist: () => ({
      delivery: (inner, _consumer, broker) => ({
        settle: (how) => how.as === "requeue" ? again(inner, broker) : inner.settle(how),
      }),
    }),
  },
  {
    name: "what comes again lacks a header",
    reds: ["broker > settle: the message that comes again"],
    twist: () => ({
      delivery: (inner) => {
        const { headers: { task: _, ...headers }, ...message } = inner.message;
        return inner.redelivered ? { message: { headers, ...message } } : {};
      },
    }),
  },
  {
    name: "what comes again says another way",
    reds: ["broker > settle: the message that comes again", "broker > park: a parked message keeps"],
    twist: () => ({
      consumer: () => ({}),
      delivery: (inner, consumer) => {
        const count = (SEEN.get(consumer) ?? 0) + 1;
        SEEN.set(consumer, count);
        return count === 1 ? {} : { route: { ...inner.route, exchange: "park" } };
      },
    }),
  },
  {
    name: "park and a requeue that is to wait come again at once",
    reds: [
      "broker > park: a message settled as ",
      "broker > park: parked messages of different",
      "broker > park: a message parked three times",
    ],
    twist: () => ({
      delivery: (inner) => ({
        settle: (how) => inner.settle(how.as === "park" || how.as === "requeue" ? { as: "requeue" } : how),
      }),
    }),
  },
  {
    name: "what is parked is kept in the memory of the broker object",
    reds: ["broker > park: a parked message lives on"],
    twist: () => ({
      delivery: (inner, _consumer, broker) => ({
        settle: async (how) => {
          if (how.as !== "park") return await inner.settle(how);
          const { message, queue } = inner;
          const word = await inner.settle({ as: "ack" });
          const timer = setTimeout(() => {
            void broker.publish([{ message, to: { exchange: "", routingKey: queue }, mustRoute: false }]);
          }, how.until - Date.now());
          const { close } = broker;
          broker.close = (call) => {
            clearTimeout(timer);
            return close.call(broker, call);
          };
          return word;
        },
      }),
    }),
  },
  {
    name: "what is parked until an instant that is over is dropped",
    reds: ["broker > park: parking until an instant that is over"],
    twist: () => ({
      delivery: (inner) => ({
        settle: (how) => inner.settle(how.as === "park" && how.until < Date.now() ? { as: "ack" } : how),
      }),
    }),
  },
  {
    name: "a parked message comes out by the way that it came",
    reds: ["broker > park: a parked message comes out in its own queue"],
    twist: () => ({
      delivery: (inner, _consumer, broker) => ({
        settle: async (how) => {
          if (how.as !== "park") return await inner.settle(how);
          const { message, route } = inner;
          await broker.publish([{ message, to: route, mustRoute: false }]);
          return await inner.settle({ as: "ack" });
        },
      }),
    }),
  },
  {
    name: "what was parked comes out twice",
    reds: [
      "broker > park: a message parked three times",
      "broker > park: a message settled as park",
    ],
    twist: () => {
      let parked = false;
      let last: IteratorResult<Delivery> | undefined;
      return {
        consumer: (inner) => {
          const iterator = inner[Symbol.asyncIterator]();
          return {
            [Symbol.asyncIterator]: () => ({
              next: async () => {
                const repeat = last;
                if (repeat !== undefined) {
                  last = undefined;
                  return repeat;
                }
                const step = await iterator.next();
                if (parked) last = step;
                return step;
              },
            }),
          };
        },
        delivery: (inner) => ({
          settle: (how) => {
            if (how.as === "park") {
              parked = true;
              last = undefined;
            }
            return inner.settle(how);
          },
        }),
      };
    },
  },
  {
    name: "a parked message comes out without what it carried",
    reds: ["broker > park: a parked message keeps"],
    twist: () => ({
      delivery: (inner, _consumer, broker) => ({
        settle: (how) =>
          how.as === "park"
            ? again(
              inner,
              broker,
              (message) => ({ ...message, headers: {}, properties: { delivery_mode: 2 } }),
            )
            : inner.settle(how),
      }),
    }),
  },
  {
    name: "a park that fails is told as settled",
    on: ["RabbitMQ"],
    reds: ["broker > server: under an alarm a park fails"],
    twist: () => ({
      delivery: (inner) => ({ settle: (how) => inner.settle(how).catch(() => "settled" as const) }),
    }),
  },
  {
    name: "a park that is too long is made shorter",
    reds: ["broker > park: parking for longer"],
    twist: () => ({
      delivery: (inner, _consumer, { features }) => ({
        settle: (how) =>
          inner.settle(
            how.as === "park"
              ? { as: "park", until: Math.min(how.until, Date.now() + features.maxPark - 1000) }
              : how,
          ),
      }),
    }),
  },
  {
    name: "a park that is refused settles the delivery",
    reds: ["broker > park: parking for longer"],
    twist: () => ({
      delivery: (inner) => {
        let over = false;
        return {
          settle: (how: Settlement) => {
            if (over) return Promise.resolve("stale" as const);
            try {
              return inner.settle(how);
            } catch (error) {
              over = true;
              throw error;
            }
          },
        };
      },
    }),
  },
];

/** How many came by a consumer. */
const SEEN = new WeakMap<Consumer, number>();

export const LOST: readonly Saboteur[] = [
  {
    name: "a loss is never told",
    on: RABBIT,
    reds: [
      "broker > lost delivery: a delivery of a lost link",
      "broker > lost delivery: who asks for news",
    ],
    twist: () => ({ delivery: () => ({ onLost: () => WITHOUT }) }),
  },
  {
    name: "a loss is told twice",
    on: RABBIT,
    reds: ["broker > lost delivery: a delivery of a lost link"],
    twist: () => ({
      delivery: (inner) => ({ onLost: (listener) => inner.onLost(() => (listener(), listener())) }),
    }),
  },
  {
    name: "who asks too late is not told of a loss",
    on: RABBIT,
    reds: ["broker > lost delivery: who asks for news"],
    twist: () => ({
      delivery: (inner) => {
        let lost = false;
        inner.onLost(() => lost = true);
        return { onLost: (listener) => lost ? WITHOUT : inner.onLost(listener) };
      },
    }),
  },
  {
    name: "a listener of a loss cannot be disposed",
    on: RABBIT,
    reds: ["broker > lost delivery: neither a settled delivery"],
    twist: () => ({ delivery: (inner) => ({ onLost: (listener) => (inner.onLost(listener), WITHOUT) }) }),
  },
  {
    name: "a cut tells of the loss of what was settled",
    on: RABBIT,
    reds: ["broker > lost delivery: neither a settled delivery"],
    twist: (world) => ({
      delivery: (inner) => ({
        onLost: (listener) => {
          let listening = true;
          world.onCut.push(() => listening && listener());
          void inner;
          return { [Symbol.dispose]: () => void (listening = false) };
        },
      }),
    }),
  },
  {
    name: "what nobody read is yielded though its link is lost",
    on: RABBIT,
    reds: ["broker > lost delivery: deliveries that nobody read"],
    twist: () => ({
      consumer: (inner) => {
        const unread: Promise<IteratorResult<Delivery>>[] = [];
        const iterator = inner[Symbol.asyncIterator]();
        return {
          [Symbol.asyncIterator]: () => ({
            next: async () => {
              for (let count = unread.length; count < 3; count++) unread.push(iterator.next());
              return await unread.shift() ?? { done: true, value: undefined };
            },
          }),
        };
      },
    }),
  },
  {
    name: "a stale settlement settles the one that has its place now",
    on: RABBIT,
    reds: ["broker > lost delivery: a stale settlement"],
    twist: () => {
      let latest: Delivery | undefined;
      return {
        delivery: (inner) => {
          latest = inner;
          return {
            settle: async (how) => {
              const word = await inner.settle(how);
              if (word === "stale" && latest !== inner) await latest?.settle(how);
              return word;
            },
          };
        },
      };
    },
  },
  {
    name: "a message of a lost link is gone",
    on: RABBIT,
    reds: [
      "broker > lost delivery: settling twice throws",
      "broker > lost delivery: ack of",
      "broker > lost delivery: deliveries that nobody read",
    ],
    twist: () => ({
      consumer: (inner) => ({
        [Symbol.asyncIterator]: () => {
          const iterator = inner[Symbol.asyncIterator]();
          return {
            next: async () => {
              for (;;) {
                const step = await iterator.next();
                if (step.done === true || !step.value.redelivered) return step;
                await step.value.settle({ as: "ack" });
              }
            },
          };
        },
      }),
    }),
  },
  {
    name: "a cut forgets what setPrefetch said",
    reds: ["broker > loss: a consumer keeps its prefetch", "broker > loss: prefetch, order and settlements"],
    twist: (world) => ({
      consumer: (inner) => {
        world.onCut.push(() => void inner.setPrefetch(4));
        return {};
      },
    }),
  },
  {
    name: "a cut forgets what was added",
    reds: ["broker > loss: a consumer keeps its prefetch"],
    twist: (world) => ({
      consumer: (inner) => ({
        add: async (queue) => {
          await inner.add(queue);
          world.onCut.push(() => void inner.remove(queue));
        },
      }),
    }),
  },
  {
    name: "nothing comes any more once the link was cut",
    reds: [
      "broker > loss: a consumer goes on after a cut",
      "broker > loss: a subscription hears again",
      "broker > loss: prefetch, order and settlements",
      "broker > loss: what was declared stands again",
      "broker > server: publishers, consumers and subscriptions",
    ],
    twist: (world) => {
      // A restart of the server is a cut too.
      const gone = (): boolean => world.cuts + world.restarts > 0;
      const silent = <T>(source: AsyncIterable<T>): AsyncIterator<T> => {
        const inner = source[Symbol.asyncIterator]();
        return {
          next: async () => gone() ? await new Promise<never>(() => {}) : await inner.next(),
        };
      };
      return {
        consumer: (inner) => ({ [Symbol.asyncIterator]: () => silent(inner) }),
        subscription: (inner) => ({ [Symbol.asyncIterator]: () => silent(inner) }),
      };
    },
  },
];
