/**
 * Brokers that break what they promise of a published message.
 *
 * @module
 */
import type { Message } from "../../../../src/protocol/message.ts";
import type { Outgoing, Verdict } from "../../../../src/broker.ts";
import { RABBIT, REDIS, type Saboteur, type Twist } from "../saboteur.ts";
import { CONFIRMED, endless, judging, later, pause, posting, refusal, sending } from "./tools.ts";

const told = (from: Verdict["is"], to: Verdict): (verdict: Verdict) => Verdict => (verdict) =>
  verdict.is === from ? to : verdict;
const doubled = (batch: readonly Outgoing[]): Outgoing[] => batch.flatMap((one) => [one, one]);
const body = (message: Message, bytes: Uint8Array): Message => ({ ...message, body: bytes });

/** What is unknown is told otherwise, but not to the suite's own probe, which asks whether something left. */
const doubting = (verdict: Verdict): () => Twist => () => ({
  broker: (inner) => ({
    publish: async (batch, options) => {
      const verdicts = await inner.publish(batch, options);
      const isProbe = new TextDecoder().decode(batch[0]?.message.body) === "probe";
      return isProbe ? verdicts : verdicts.map(told("unknown", verdict));
    },
  }),
});

export const PUBLISH: readonly Saboteur[] = [
  {
    name: "publish says confirmed and sends nothing",
    reds: [
      "broker > publish: a published message is confirmed",
      "broker > publish: many concurrent publishes",
      "broker > consume: a message published while",
    ],
    twist: () => ({ broker: () => ({ publish: (batch) => Promise.resolve(batch.map(() => CONFIRMED)) }) }),
  },
  {
    name: "nothing is published any more once the link was cut",
    reds: [
      "broker > loss: a broker publishes again after a cut",
      "broker > loss: a consumer goes on after a cut",
    ],
    twist: (world) => ({
      broker: (inner) => ({
        publish: async (batch, options) =>
          world.cuts === 0
            ? await inner.publish(batch, options)
            : batch.map(() => ({ is: "refused", reason: "cut", retry: true })),
      }),
    }),
  },
  {
    name: "a batch of nothing has a verdict",
    reds: ["broker > publish: an empty batch"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) =>
          batch.length === 0 ? [CONFIRMED] : await inner.publish(batch, options),
      }),
    }),
  },
  {
    name: "a batch of nothing declares nothing",
    reds: ["broker > publish: what an empty batch declares"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => batch.length === 0 ? [] : await inner.publish(batch, options),
      }),
    }),
  },
  {
    name: "what is declared with a publish is declared after it",
    reds: ["broker > publish: what a publish declares"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, { declare = [], ...call } = {}) => {
          const verdicts = await inner.publish(batch, call);
          await inner.declare(declare, call);
          return verdicts;
        },
      }),
    }),
  },
  {
    name: "what a refused declaration came with is sent all the same",
    reds: ["broker > publish: a declaration that the broker refuses"],
    twist: () => ({
      broker: (inner) => ({
        publish: (batch, { declare, ...call } = {}) =>
          inner.publish(batch, { declare: declare ?? [], ...call }).catch(async (error: unknown) => {
            await inner.publish(batch, call);
            throw error;
          }),
      }),
    }),
  },
  {
    name: "verdicts stand in reverse",
    reds: ["broker > publish: verdicts stand in the order"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => (await inner.publish(batch.toReversed(), options)),
      }),
    }),
  },
  {
    name: "every message must be routed",
    reds: ["broker > publish: a message that need not be routed"],
    twist: posting((outgoing) => ({ ...outgoing, mustRoute: true })),
  },
  {
    name: "mustRoute is not passed on",
    reds: [
      "broker > publish: verdicts stand in the order",
      "broker > publish: what was unroutable",
      "broker > route: a key that no binding",
      "broker > loss: a late answer of an abandoned publish",
      "broker > subscribe: the queue of a closed subscription",
    ],
    twist: posting((outgoing) => ({ ...outgoing, mustRoute: false })),
  },
  {
    name: "what goes to an exchange that is not there is told as confirmed",
    reds: ["broker > publish: an exchange that does not exist gives"],
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
    name: "a batch has the verdict of its worst message",
    reds: [
      "broker > publish: an exchange that does not exist hurts",
      "broker > publish: a body over the limit",
      "broker > publish: verdicts stand in the order",
    ],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => {
          const verdicts = await inner.publish(batch, options);
          const worst = verdicts.find(({ is }) => is !== "confirmed");
          return worst === undefined ? verdicts : verdicts.map(() => worst);
        },
      }),
    }),
  },
  {
    name: "what was unroutable is kept until there is a queue",
    reds: ["broker > publish: what was unroutable"],
    twist: () => ({
      broker: (inner) => {
        let kept: Outgoing[] = [];
        return {
          publish: async (batch, options) => {
            const verdicts = await inner.publish(batch, options);
            kept.push(...batch.filter((_, at) => verdicts[at]?.is === "unroutable"));
            return verdicts;
          },
          declare: async (entities, call) => {
            await inner.declare(entities, call);
            const due = kept;
            kept = [];
            if (due.length > 0) await inner.publish(due);
          },
        };
      },
    }),
  },
  {
    name: "what is refused is never to be repeated",
    reds: [
      "broker > publish: a full queue that takes no more",
      "broker > loss: a publish on a network that is frozen",
    ],
    twist: judging((verdict) => verdict.is === "refused" ? { ...verdict, retry: false } : verdict),
  },
  {
    name: "what is refused may always be repeated",
    reds: ["broker > publish: a body over the limit", "broker > publish: a message that is to wait"],
    twist: judging((verdict) => verdict.is === "refused" ? { ...verdict, retry: true } : verdict),
  },
  {
    name: "publish ignores signal and deadline",
    reds: [
      "broker > publish: nothing is sent when the signal",
      "broker > publish: nothing is sent when the deadline",
      "broker > publish: what is declared with a publish that is given up",
    ],
    twist: () => ({
      broker: (inner) => ({ publish: (batch, options = {}) => inner.publish(batch, endless(options)) }),
    }),
  },
  {
    name: "a publish that is given up is refused, and sent all the same",
    reds: [
      "broker > publish: nothing is sent when the signal",
      "broker > publish: nothing is sent when the deadline",
      "broker > publish: what is declared with a publish that is given up",
    ],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options = {}) => {
          const { signal, deadline = Infinity } = options;
          if (signal?.aborted === true || deadline < Date.now()) await inner.publish(batch, endless(options));
          return await inner.publish(batch, options);
        },
      }),
    }),
  },
  {
    name: "notBefore is not heeded",
    reds: ["broker > publish: a message that is to wait", "broker > publish: messages that are to wait"],
    twist: posting(({ message, to, mustRoute }) => ({ message, to, mustRoute })),
  },
  {
    name: "what is to wait is confirmed at its instant",
    on: ["memory"],
    reds: ["broker > publish: messages that are to wait"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => {
          const verdicts = await inner.publish(batch, options);
          await pause(Math.max(...batch.map(({ notBefore = 0 }) => notBefore)) - Date.now());
          return verdicts;
        },
      }),
    }),
  },
  {
    name: "every other publish takes a while to leave",
    reds: ["broker > publish: publishes that nobody awaited"],
    twist: () => ({
      broker: (inner) => {
        let count = 0;
        return {
          publish: async (batch, options) => {
            if (count++ % 2 === 1) await pause(200);
            return await inner.publish(batch, options);
          },
        };
      },
    }),
  },
  {
    name: "a message is sent twice",
    reds: [
      "broker > publish: a published message is confirmed",
      "broker > publish: many concurrent publishes",
      "broker > route: by a ",
      "broker > loss: a publish that got no answer before the cut is sent again",
    ],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) =>
          (await inner.publish(doubled(batch), options)).filter((_, at) => at % 2 === 0),
      }),
    }),
  },
  {
    name: "a batch is sent in reverse",
    reds: ["broker > publish: a batch arrives in its order"],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => (await inner.publish(batch.toReversed(), options)).toReversed(),
      }),
    }),
  },
  {
    name: "a header is left out",
    reds: ["broker > publish: headers, properties"],
    twist: sending((message) => {
      const { stamps: _, ...headers } = message.headers;
      return { ...message, headers };
    }),
  },
  {
    name: "the priority is left out",
    reds: ["broker > publish: headers, properties", "broker > consume: among waiting messages"],
    twist: sending((message) => {
      const { priority: _, ...properties } = message.properties;
      return { ...message, properties };
    }),
  },
  {
    name: "a byte is added to each body",
    reds: ["broker > publish: a body of ", "broker > publish: a body that is a part"],
    twist: sending((message) => body(message, Uint8Array.of(...message.body.slice(0, 65_536), 0))),
  },
  {
    name: "the last bit of each body is another",
    reds: [1, 4096, 131_072, 1_048_576].map((size) => `broker > publish: a body of ${size} bytes`),
    twist: sending((message) => {
      const bytes = message.body.slice();
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      return body(message, bytes);
    }),
  },
  {
    name: "a body is sent with the whole of its buffer",
    reds: ["broker > publish: a body that is a part"],
    twist: sending((message) => body(message, new Uint8Array(message.body.buffer))),
  },
  {
    name: "publish says confirmed before it sends",
    reds: ["broker > publish: the sender may reuse"],
    twist: () => ({
      broker: (inner) => ({
        publish: (batch, options) => {
          setTimeout(() => void inner.publish(batch, options).catch(() => {}), 50);
          return Promise.resolve(batch.map(() => CONFIRMED));
        },
      }),
    }),
  },
  {
    name: "messages are sent as transient",
    on: RABBIT,
    reds: ["broker > server: durable queues"],
    twist: sending((message) => ({ ...message, properties: { ...message.properties, delivery_mode: 1 } })),
  },
  {
    name: "messages are sent as persistent",
    reds: ["broker > server: a transient queue"],
    twist: sending((message) => ({ ...message, properties: { ...message.properties, delivery_mode: 2 } })),
  },
  {
    name: "what is unknown is told as refused",
    on: ["RabbitMQ", ...REDIS],
    reds: [
      "broker > loss: a publish settles by its deadline",
      "broker > loss: a publish settles as unknown",
    ],
    twist: doubting({ is: "refused", reason: "sabotage", retry: true }),
  },
  {
    name: "what is unknown is told as confirmed",
    reds: [
      "broker > loss: a publish that got no answer before the cut is unknown",
      "broker > loss: a publish settles by its deadline as unknown",
      "broker > loss: a publish settles as unknown",
    ],
    twist: doubting(CONFIRMED),
  },
  {
    name: "what is unknown is not sent again",
    on: REDIS,
    reds: ["broker > loss: a publish that got no answer before the cut is sent again"],
    twist: (world) => ({
      broker: (inner) => ({
        publish: (batch, options) =>
          Promise.race([
            inner.publish(batch, options),
            new Promise<readonly Verdict[]>((resolve) =>
              world.onCut.push(() => resolve(batch.map(() => ({ is: "unknown", reason: "cut" }))))
            ),
          ]),
      }),
    }),
  },
  {
    name: "what was refused as not sent is told as unknown",
    reds: ["broker > loss: a publish on a network that is frozen"],
    twist: judging(told("refused", { is: "unknown", reason: "sabotage" })),
  },
  {
    name: "the answer of an abandoned publish settles the next one",
    reds: ["broker > loss: a late answer of an abandoned publish"],
    twist: () => ({
      broker: (inner) => {
        let abandoned = false;
        return {
          publish: async (batch, options) => {
            const late = abandoned;
            const verdicts = await inner.publish(batch, options);
            abandoned = verdicts.some(({ is }) => is === "unknown" || is === "refused");
            return late ? batch.map(() => CONFIRMED) : verdicts;
          },
        };
      },
    }),
  },
  {
    name: "a publish settles long after its deadline",
    reds: [
      "broker > loss: a publish settles by its deadline",
      "broker > loss: a publish that declares settles by its deadline",
      "broker > loss: a publish on a network that is frozen",
    ],
    twist: () => ({
      broker: (inner) => ({ publish: (batch, options = {}) => inner.publish(batch, later(options)) }),
    }),
  },
  {
    name: "what a publish could not declare is told as confirmed",
    reds: ["broker > loss: a publish that declares settles by its deadline"],
    twist: () => ({
      broker: (inner) => ({
        publish: (batch, options) =>
          inner.publish(batch, options).then(
            (verdicts) => verdicts.map(told("unknown", CONFIRMED)),
            () => batch.map(() => CONFIRMED),
          ),
      }),
    }),
  },
  {
    name: "an error has no code",
    reds: [
      "broker > reach: connecting and declaring reject",
      "broker > loss: connect on a frozen network",
      "broker > loss: declare on a frozen network",
      "broker > declare: a binding to what does not exist",
    ],
    twist: () => {
      const plain = (): never => {
        throw new Error("no code");
      };
      return {
        broker: (inner) => ({
          connect: (call) => inner.connect(call).catch(plain),
          declare: (entities, call) => inner.declare(entities, call).catch(plain),
          publish: (batch, options) => inner.publish(batch, options).catch(plain),
        }),
      };
    },
  },
  {
    name: "one message that is refused rejects the call",
    reds: [
      "broker > publish: a full queue that takes no more",
      "broker > publish: a body over the limit",
      "broker > publish: a message that is to wait",
    ],
    twist: () => ({
      broker: (inner) => ({
        publish: async (batch, options) => {
          const verdicts = await inner.publish(batch, options);
          if (verdicts.some(({ is }) => is === "refused")) throw refusal();
          return verdicts;
        },
      }),
    }),
  },
];
