/**
 * Brokers that break what they promise of the topology, of counting and of purging.
 *
 * @module
 */
import type { Entity } from "../../../../src/broker.ts";
import { RABBIT, type Saboteur } from "../saboteur.ts";
import { CONFIRMED, declaring, refusal } from "./tools.ts";

export const DECLARE: readonly Saboteur[] = [
  {
    name: "a declaration empties a queue that stands",
    reds: ["broker > declare: declaring the same again"],
    twist: () => ({
      broker: (inner) => ({
        declare: async (entities, call) => {
          await inner.declare(entities, call);
          for (const entity of entities) if (entity.kind === "queue") await inner.purge(entity.name);
        },
      }),
    }),
  },
  {
    name: "entities are declared in reverse",
    on: RABBIT,
    reds: ["broker > declare: entities are declared in the given order"],
    twist: declaring((entities) => entities.toReversed()),
  },
  {
    name: "nothing is declared",
    reds: [
      "broker > declare: entities are declared in the given order",
      "broker > publish: what an empty batch declares",
      "broker > publish: what a publish declares stands",
      "broker > route: by a direct exchange",
      "broker > route: by a topic exchange",
      "broker > route: a delivery says by which direct exchange",
      "broker > route: a delivery says by which topic exchange",
    ],
    twist: declaring(() => []),
  },
  {
    name: "a queue is known to the broker object that declared it",
    reds: ["broker > declare: what one broker object declared"],
    twist: () => ({
      broker: (inner) => {
        const own = new Set<string>();
        return {
          declare: async (entities, call) => {
            await inner.declare(entities, call);
            for (const entity of entities) if (entity.kind === "queue") own.add(entity.name);
          },
          publish: async (batch, options) =>
            batch.every(({ to }) => own.has(to.routingKey))
              ? await inner.publish(batch, options)
              : batch.map(() => ({ is: "unroutable" })),
        };
      },
    }),
  },
  {
    name: "purge says how many there are, and leaves them",
    reds: [
      "broker > declare: purge empties the queue",
      "broker > declare: purge empties a queue of messages",
    ],
    twist: () => ({ broker: (inner) => ({ purge: (queue) => inner.count(queue) }) }),
  },
  {
    name: "purge does not say how many went",
    reds: [
      "broker > declare: purge empties the queue",
      "broker > declare: purge empties a queue of messages",
      "broker > declare: count and purge leave alone",
    ],
    twist: () => ({
      broker: (inner) => ({
        purge: async (queue) => {
          await inner.purge(queue);
          return 0;
        },
      }),
    }),
  },
  {
    name: "count tells of what is being worked on too",
    reds: ["broker > declare: count and purge leave alone"],
    twist: () => {
      const held = new Map<string, number>();
      const hold = (queue: string, more: number): unknown => held.set(queue, (held.get(queue) ?? 0) + more);
      return {
        broker: (inner) => ({ count: async (queue) => await inner.count(queue) + (held.get(queue) ?? 0) }),
        delivery: (inner) => {
          hold(inner.queue, 1);
          return {
            settle: (how) => {
              hold(inner.queue, -1);
              return inner.settle(how);
            },
          };
        },
      };
    },
  },
  {
    name: "counting makes the queue",
    on: RABBIT,
    reds: ["broker > declare: a queue that does not exist holds nothing"],
    twist: () => ({
      broker: (inner) => ({
        count: async (queue) => {
          const plain = { durable: false, exclusive: false, autoDelete: false } as const;
          await inner.declare([{ kind: "queue", name: queue, ...plain, arguments: { "x-expires": 60_000 } }]);
          return await inner.count(queue);
        },
      }),
    }),
  },
  {
    name: "counting nothing is an error",
    reds: ["broker > declare: a queue that does not exist holds nothing"],
    twist: () => ({
      broker: (inner) => ({
        count: async (queue) => {
          const count = await inner.count(queue);
          if (count === 0) throw refusal();
          return count;
        },
      }),
    }),
  },
  {
    name: "what stands behind a refused entity is declared all the same",
    reds: ["broker > declare: what stands before a refused entity"],
    twist: () => ({
      broker: (inner) => ({
        declare: async (entities, call) => {
          const fates = await Promise.allSettled(entities.map((entity) => inner.declare([entity], call)));
          for (const fate of fates) if (fate.status === "rejected") throw fate.reason;
        },
      }),
    }),
  },
  {
    name: "a mismatch is told by another code",
    reds: [
      "broker > declare: a queue declared with other arguments",
      "broker > declare: what stands before a refused entity",
      "broker > publish: a declaration that the broker refuses",
    ],
    twist: () => {
      const otherwise = (): never => {
        throw refusal();
      };
      return {
        broker: (inner) => ({
          declare: (entities, call) => inner.declare(entities, call).catch(otherwise),
          publish: (batch, options) => inner.publish(batch, options).catch(otherwise),
        }),
      };
    },
  },
  {
    name: "auto-delete is not passed on",
    reds: ["broker > declare: an auto-delete queue goes"],
    twist: declaring((entities) =>
      entities.map((entity): Entity => entity.kind === "binding" ? entity : { ...entity, autoDelete: false })
    ),
  },
  {
    name: "exclusive is not passed on",
    reds: ["broker > declare: an exclusive queue belongs"],
    twist: declaring((entities) =>
      entities.map((entity): Entity => entity.kind === "queue" ? { ...entity, exclusive: false } : entity)
    ),
  },
  {
    name: "a second queue is not bound",
    reds: ["broker > route: by a "],
    twist: declaring((entities) => {
      const first = entities.find(({ kind }) => kind === "binding");
      return entities.filter((entity) =>
        entity.kind !== "binding" || first?.kind !== "binding" || entity.queue === first.queue
      );
    }),
  },
  {
    name: "what a binding has in place of a wildcard matches nothing",
    reds: [
      'broker > route: topic key "audit" reaches',
      'broker > route: topic key "audit.x" reaches',
      'broker > route: topic key "audit.x.y" reaches',
      'broker > route: topic key "log.app.error" reaches',
      'broker > route: topic key "log..error" reaches',
      'broker > route: topic key "log.a.b.error" reaches',
    ],
    twist: declaring((entities) =>
      entities.map((entity): Entity =>
        entity.kind === "binding"
          ? { ...entity, routingKey: entity.routingKey.replace(/[*#]/, "never") }
          : entity
      )
    ),
  },
  {
    name: "every key matches every binding",
    on: RABBIT,
    reds: [
      'broker > route: topic key "log.a.b.error" does not',
      'broker > route: topic key "log.error" does not',
      'broker > route: topic key "auditx" does not',
      'broker > route: topic key "" does not',
      "broker > route: a key that no binding of a topic",
    ],
    twist: declaring((entities) =>
      entities.map((entity): Entity => entity.kind === "binding" ? { ...entity, routingKey: "#" } : entity)
    ),
  },
  {
    name: "a message goes to every queue that was declared, whatever its key",
    reds: ['broker > route: topic key "', "broker > route: a key that no binding"].flatMap((name) =>
      name.endsWith('"')
        ? ["audit", "log..error", "log.a.b.error", "log.error", "auditx", ""].map((key) =>
          `${name}${key}" does not`
        )
        : [name]
    ),
    twist: () => ({
      broker: (inner) => {
        const queues: string[] = [];
        return {
          declare: async (entities, call) => {
            await inner.declare(entities, call);
            for (const entity of entities) if (entity.kind === "queue") queues.push(entity.name);
          },
          publish: async (batch, options) => {
            const copies = batch.flatMap((one) =>
              queues.map((queue) => ({ ...one, to: { exchange: "", routingKey: queue } }))
            );
            await inner.publish(copies, options);
            return batch.map(() => CONFIRMED);
          },
        };
      },
    }),
  },
];
