/**
 * What cannot be broken from outside: the adapters with a mutant in their source.
 *
 * @module
 */
import type { Edit } from "../../../mutants/mutants.ts";
import { REDIS_MUTANTS } from "../../../mutants/redis-mutants.ts";
import { REDIS, type Saboteur } from "../saboteur.ts";

/** The mutants of `test/mutants/redis-mutants.ts` that the contract suite catches, and by which test. */
const CAUGHT: Readonly<Record<string, readonly string[]>> = {
  "a requeue goes to the back": ["broker > settle: requeued messages stand"],
  "a claim leaves the messages in their list": ["broker > declare: count and purge leave alone"],
  "a second settlement is let through": ["broker > settle: a second settlement throws"],
  "a purge knows one list of the four": ["broker > declare: purge empties a queue of messages"],
  "the prefetch is ignored": ["broker > consume: no more than prefetch", "broker > consume: prefetch counts"],
  "priorities are inverted": ["broker > consume: among waiting messages"],
  "parked messages come before their time": ["broker > park: a message settled as park"],
  "what comes again is not flagged": ["broker > settle: what was not settled is back"],
  "what no queue took counts as confirmed": ["broker > route: a key that no binding"],
  "a stop keeps what was not read": [
    "broker > consumer: after stop nothing more is yielded",
    "broker > settle: stop flushes",
  ],
};

/** Those in what only the broker over TCP is made of. */
const OVER_TCP: ReadonlySet<string> = new Set(["a purge knows one list of the four"]);

function redis(name: string): readonly Edit[] {
  const mutant = REDIS_MUTANTS.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`no mutant of Redis is called "${name}"`);
  return [{ file: `adapters/redis/${mutant.file}`, find: mutant.from, put: mutant.to }];
}

export const SOURCES: readonly Saboteur[] = [
  ...Object.entries(CAUGHT).map(([name, reds]): Saboteur => ({
    name: `in the source of Redis: ${name}`,
    on: OVER_TCP.has(name) ? ["Redis"] : REDIS,
    reds,
    edits: redis(name),
  })),
  {
    name: "in the source of RabbitMQ: what was declared is not declared again",
    on: ["RabbitMQ"],
    reds: ["broker > loss: what was declared stands again"],
    edits: [{
      file: "adapters/amqp/topology.ts",
      find: "restoring = this.#restore(site, refused);",
      put: "restoring = Promise.resolve();",
    }],
  },
];
