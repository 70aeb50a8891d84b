/**
 * Backends that break what they promise.
 *
 * @module
 */
import type { Backend, ResultRecord } from "../../../../src/backend.ts";
import type { Saboteur } from "../saboteur.ts";
import { endless, later, pause, refusal } from "./tools.ts";

const HOUR = 3_600_000;
const NEVER = new Promise<never>(() => {});

/** A watch that passes on what `keep` says. */
async function* kept(
  source: AsyncIterable<ResultRecord>,
  keep: (record: ResultRecord) => boolean,
): AsyncGenerator<ResultRecord> {
  for await (const record of source) if (keep(record)) yield record;
}

export const RESULTS: readonly Saboteur[] = [
  {
    name: "the feature record says more than is true",
    reds: ["backend > store: a backend declares"],
    twist: () => ({ backend: ({ features }) => ({ features: { ...features, chord: "native" } }) }),
  },
  {
    name: "the address of the store tells the password",
    reds: ["backend > store: a backend declares"],
    twist: () => ({ backend: () => ({ address: "redis://user:secret@127.0.0.1" }) }),
  },
  {
    name: "what is read is not the text that was stored",
    reds: ["backend > store: a stored record is read back", "backend > store: a record of a million"],
    twist: () => ({
      backend: (inner) => ({
        load: async (ids, call) =>
          (await inner.load(ids, call)).map((one) => one && { ...one, text: one.text.slice(0, 60) }),
      }),
    }),
  },
  {
    name: "what is not there is left out",
    reds: ["backend > store: records come in the order", "backend > store: hundreds of ids"],
    twist: () => ({
      backend: (inner) => ({ load: async (ids, call) => (await inner.load(ids, call)).filter(Boolean) }),
    }),
  },
  {
    name: "records come in the order of their ids' texts",
    reds: ["backend > store: records come in the order", "backend > store: hundreds of ids"],
    twist: () => ({ backend: (inner) => ({ load: (ids, call) => inner.load(ids.toSorted(), call) }) }),
  },
  {
    name: "who asks for nothing gets one",
    reds: ["backend > store: nothing is asked for"],
    twist: () => ({
      backend: (inner) => ({ load: (ids, call) => inner.load(ids.length === 0 ? [""] : ids, call) }),
    }),
  },
  {
    name: "a backend reads what it stored itself",
    reds: ["backend > store: what one backend object stored"],
    twist: () => ({
      backend: (inner) => {
        const own = new Set<string>();
        return {
          store: (record, options) => {
            own.add(record.taskId);
            return inner.store(record, options);
          },
          load: async (ids, call) =>
            (await inner.load(ids, call)).map((one, at) => own.has(ids[at] ?? "") ? one : undefined),
        };
      },
    }),
  },
  {
    name: "the first state stays",
    reds: ["backend > store: states before the final one", "backend > loss: it stores and reads again"],
    twist: () => ({
      backend: (inner) => ({
        store: async (record, options) => {
          const [there] = await inner.load([record.taskId]);
          return there === undefined ? await inner.store(record, options) : "stored";
        },
      }),
    }),
  },
  {
    name: "SUCCESS is overwritten",
    reds: [
      "backend > store: SUCCESS does not",
      "backend > store: FAILURE does not",
      "backend > store: STARTED does not",
      "backend > store: RETRY does not",
      "backend > store: PROGRESS does not",
      "backend > store: of many concurrent writers",
    ],
    twist: () => ({
      backend: (inner) => ({
        store: async (record, options) => {
          if (await inner.store(record, options) === "kept") {
            await inner.forget([record.taskId]);
            await inner.store(record, options);
          }
          return "stored";
        },
      }),
    }),
  },
  {
    name: "store looks what is there, and writes a while later",
    reds: ["backend > store: SUCCESS stays", "backend > store: of many concurrent writers"],
    twist: () => ({
      backend: (inner) => ({
        store: async (record, options) => {
          const [there] = await inner.load([record.taskId]);
          if (there?.status === "SUCCESS") return "kept";
          if (record.status !== "SUCCESS") await pause(50);
          await inner.forget([record.taskId]);
          await inner.store(record, options);
          return "stored";
        },
      }),
    }),
  },
  {
    name: "what was kept is told as stored",
    reds: ["backend > store: SUCCESS does not", "backend > store: of many concurrent writers"],
    twist: () => ({
      backend: (inner) => ({
        store: async (record, options) => {
          await inner.store(record, options);
          return "stored";
        },
      }),
    }),
  },
  {
    name: "whoever looks like SUCCESS stays",
    reds: ["backend > store: a state that only looks"],
    twist: () => ({
      backend: (inner) => ({
        store: async (record, options) => {
          const [there] = await inner.load([record.taskId]);
          return there?.text.includes("SUCCESS") === true ? "kept" : await inner.store(record, options);
        },
      }),
    }),
  },
  {
    name: "a result lives for ever",
    reds: ["backend > store: a record goes"],
    twist: () => ({
      backend: (inner) => ({
        store: (record, options) => inner.store(record, { ...options, ttl: undefined }),
      }),
    }),
  },
  {
    name: "a result lives for as long as the first of its states",
    reds: ["backend > store: storing anew"],
    twist: () => {
      const ttls = new Map<string, number | undefined>();
      return {
        backend: (inner) => ({
          store: (record, options) => {
            if (!ttls.has(record.taskId)) ttls.set(record.taskId, options.ttl);
            return inner.store(record, { ...options, ttl: ttls.get(record.taskId) });
          },
        }),
      };
    },
  },
  {
    name: "forget does nothing",
    reds: ["backend > store: what was forgotten"],
    twist: () => ({ backend: () => ({ forget: () => Promise.resolve() }) }),
  },
  {
    name: "store, load and watch ignore signal and deadline",
    reds: [
      "backend > store: a call whose signal",
      "backend > store: a call whose deadline",
      "backend > watch: an aborted signal",
      "backend > watch: a deadline ends",
      "backend > watch: a watch of no ids",
      "backend > loss: on a frozen network a watch",
    ],
    twist: () => ({
      backend: (inner) => ({
        store: (record, options) => inner.store(record, endless(options)),
        load: (ids) => inner.load(ids),
        watch: (ids) => inner.watch(ids),
      }),
    }),
  },
  {
    name: "what is given up before it began is stored all the same",
    reds: ["backend > store: a call whose signal", "backend > store: a call whose deadline"],
    twist: () => ({
      backend: (inner) => ({
        store: async (record, options) => {
          const { signal, deadline = Infinity } = options;
          if (signal?.aborted === true || deadline < Date.now()) await inner.store(record, endless(options));
          return await inner.store(record, options);
        },
      }),
    }),
  },
  {
    name: "an id is a name of an object's property",
    reds: ["backend > store: ids are any text"],
    twist: () => ({
      backend: (inner) => ({
        load: async (ids, call) => {
          const all: Record<string, ResultRecord | undefined> = {};
          (await inner.load(ids, call)).forEach((one, at) => all[ids[at] ?? ""] = one);
          return ids.map((id) => Object.hasOwn(all, id) ? all[id] : undefined);
        },
      }),
    }),
  },
  {
    name: "a backend that was closed stays closed",
    reds: [
      "backend > store: close may be called twice",
      "backend > watch: a backend that was closed",
      "backend > facts: facts are kept over a close",
    ],
    twist: () => {
      let closed = false;
      return {
        backend: (inner) => ({
          close: async () => {
            closed = true;
            await inner.close();
          },
          store: async (record, options) => {
            if (closed) throw refusal();
            return await inner.store(record, options);
          },
          watch: (ids, call) => inner.watch(closed ? [] : ids, call),
        }),
        facts: (inner) => ({ get: async (key) => closed ? undefined : await inner.get(key) }),
      };
    },
  },
  {
    name: "a watch tells of changes alone",
    reds: ["backend > watch: what is stored already", "backend > watch: leaving the loop"],
    twist: () => ({
      backend: (inner) => ({
        watch: async function* (ids, call) {
          const there = new Set((await inner.load(ids)).map((one) => one?.text));
          yield* kept(inner.watch(ids, call), ({ text }) => !there.has(text));
        },
      }),
    }),
  },
  {
    name: "a watch reads once and hears nothing",
    reds: [
      "backend > watch: states come in the order",
      "backend > watch: watching several ids",
      "backend > loss: the final one is not missed",
      "backend > watch: a backend that was closed",
    ],
    twist: () => ({
      backend: (inner) => ({
        watch: async function* (ids) {
          yield* (await inner.load(ids)).filter((one) => one !== undefined);
          await NEVER;
        },
      }),
    }),
  },
  {
    name: "a watch is silent",
    reds: ["backend > watch: what is stored"],
    twist: () => ({
      backend: () => ({
        watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => NEVER }) }),
      }),
    }),
  },
  {
    name: "a watch tells of the last state alone",
    // Over HTTP that is all that is promised.
    on: ["Redis results"],
    reds: ["backend > watch: states come in the order"],
    twist: () => ({
      backend: (inner) => ({
        watch: (ids, call) =>
          kept(inner.watch(ids, call), ({ status }) => status === "SUCCESS" || status === "STARTED"),
      }),
    }),
  },
  {
    name: "a watch is of its first id",
    reds: ["backend > watch: watching several ids"],
    twist: () => ({ backend: (inner) => ({ watch: (ids, call) => inner.watch(ids.slice(0, 1), call) }) }),
  },
  {
    name: "a watch hears from a while after it was asked for, and reads nothing",
    reds: ["backend > watch: the final one is not missed", "backend > watch: two watchers of one id"],
    twist: () => ({
      backend: (inner) => ({
        watch: async function* (ids, call) {
          await pause(1000);
          const missed = new Set((await inner.load(ids)).map((one) => one?.text));
          yield* kept(inner.watch(ids, call), ({ text }) => !missed.has(text));
        },
      }),
    }),
  },
  {
    name: "an id has one watch",
    reds: ["backend > watch: two watchers of one id"],
    twist: () => {
      const watched = new Set<string>();
      return {
        backend: (inner) => ({
          watch: (ids, call) => {
            const mine = ids.filter((id) => !watched.has(id));
            for (const id of mine) watched.add(id);
            return inner.watch(mine, call);
          },
        }),
      };
    },
  },
  {
    name: "a watch ends without a word",
    reds: [
      "backend > watch: an aborted signal",
      "backend > watch: a deadline ends",
      "backend > watch: closing the backend",
      "backend > watch: a watch of no ids",
      "backend > loss: on a frozen network a watch",
      "backend > reach: a watch rejects",
    ],
    twist: () => ({
      backend: (inner) => ({
        watch: async function* (ids, call) {
          try {
            yield* inner.watch(ids, call);
          } catch {
            // Told to nobody.
          }
        },
      }),
    }),
  },
  {
    name: "a watch that was left is not begun again",
    reds: ["backend > watch: leaving the loop"],
    twist: () => ({
      backend: (inner) => {
        let left = false;
        return {
          watch: async function* (ids, call) {
            try {
              yield* inner.watch(left ? [] : ids, call);
            } finally {
              left = true;
            }
          },
        };
      },
    }),
  },
  {
    name: "a watch ends with the final one",
    reds: ["backend > watch: a watch goes on"],
    twist: () => ({
      backend: (inner) => ({
        watch: async function* (ids, call) {
          for await (const record of inner.watch(ids, call)) {
            yield record;
            if (record.status === "SUCCESS") return;
          }
        },
      }),
    }),
  },
  {
    name: "a watch of nothing is over",
    reds: ["backend > watch: a watch of no ids"],
    twist: () => ({
      backend: (inner) => ({
        watch: async function* (ids, call) {
          if (ids.length > 0) yield* inner.watch(ids, call);
        },
      }),
    }),
  },
  {
    name: "after a cut store says stored, and does not",
    reds: ["backend > loss: it stores and reads again"],
    twist: (world) => ({
      backend: (inner) => ({
        store: (record, options) => world.cuts > 0 ? Promise.resolve("stored") : inner.store(record, options),
      }),
    }),
  },
  {
    name: "a watch hears nothing once the link was cut",
    reds: ["backend > loss: the final one is not missed"],
    twist: (world) => ({
      backend: (inner) => ({ watch: (ids, call) => kept(inner.watch(ids, call), () => world.cuts === 0) }),
    }),
  },
  {
    name: "store and load end long after their deadline",
    reds: ["backend > loss: on a frozen network store and load"],
    twist: () => ({
      backend: (inner) => ({
        store: (record, options) => inner.store(record, later(options)),
        load: (ids, call = {}) => inner.load(ids, later(call)),
      }),
    }),
  },
  {
    name: "store and load end at their abort with an error of their own",
    reds: ["backend > loss: on a frozen network store and load", "backend > store: a call whose signal"],
    twist: () => {
      const own = (error: unknown): never => {
        throw (error as { code?: string }).code === undefined ? refusal() : error;
      };
      return {
        backend: (inner) => ({
          store: (record, options) => inner.store(record, options).catch(own),
          load: (ids, call) => inner.load(ids, call).catch(own),
        }),
      };
    },
  },
  {
    name: "a store that fails is told as stored",
    reds: ["backend > reach: storing and loading"],
    twist: () => ({
      backend: (inner: Backend) => ({
        store: (record, options) => inner.store(record, options).catch(() => "stored"),
      }),
    }),
  },
  {
    name: "a load that fails finds nothing",
    reds: ["backend > reach: storing and loading"],
    twist: () => ({
      backend: (inner) => ({
        load: (ids, call) => inner.load(ids, call).catch(() => ids.map(() => undefined)),
      }),
    }),
  },
  {
    name: "the first value of a fact stays",
    reds: ["backend > facts: a fact is kept, overwritten"],
    twist: () => ({
      facts: (inner) => ({
        put: async (key, value, options) => {
          await inner.put(key, value, { ...options, ifAbsent: true });
          return true;
        },
      }),
    }),
  },
  {
    name: "ifAbsent is not heeded",
    reds: ["backend > facts: with ifAbsent", "backend > facts: keys and values"],
    twist: () => ({ facts: (inner) => ({ put: (key, value, { ttl }) => inner.put(key, value, { ttl }) }) }),
  },
  {
    name: "a fact lives for an hour",
    reds: [
      "backend > facts: a fact goes when its time",
      "backend > facts: the time of a count",
    ],
    twist: () => ({
      facts: (inner) => ({
        put: (key, value, options) => inner.put(key, value, { ...options, ttl: HOUR }),
        bump: (key) => inner.bump(key, { ttl: HOUR }),
      }),
    }),
  },
  {
    name: "a fact lives for as long as its first value",
    reds: ["backend > facts: putting anew"],
    twist: () => {
      const ttls = new Map<string, number>();
      return {
        facts: (inner) => ({
          put: (key, value, options) => {
            if (!ttls.has(key)) ttls.set(key, options.ttl);
            return inner.put(key, value, { ...options, ttl: ttls.get(key) ?? options.ttl });
          },
        }),
      };
    },
  },
  {
    name: "bump reads, adds and writes",
    reds: ["backend > facts: bump counts from 1"],
    twist: () => ({
      facts: (inner) => ({
        bump: async (key, options) => {
          const count = Number(await inner.get(key) ?? 0) + 1;
          await inner.put(key, String(count), options);
          return count;
        },
      }),
    }),
  },
  {
    name: "each bump gives one more hour",
    reds: ["backend > facts: the time of a count"],
    twist: () => ({
      facts: (inner) => ({
        bump: async (key, options) => {
          const count = await inner.bump(key, options);
          await inner.put(key, String(count), { ttl: HOUR });
          return count;
        },
      }),
    }),
  },
  {
    name: "a fact of no characters is no fact",
    reds: ["backend > facts: keys and values"],
    twist: () => ({ facts: (inner) => ({ get: async (key) => await inner.get(key) || undefined }) }),
  },
];
