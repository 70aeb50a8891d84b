import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CeleryOptions, Entity, RouteFunction, RouteOptions, TaskRouter } from "../../../mod.ts";
import { innerOf } from "../../../src/app/inner.ts";
import { snakeCase } from "../../../src/app/settings-names.ts";
import { setup } from "../../app/setup.ts";
import { type Python, startPython } from "../../support/python.ts";

/** Settings that are tried, each with six calls; more by the environment, where one looks for longer. */
const RUNS = Number(process.env["ROUTING_RUNS"] ?? 200);

const TIMEOUT = 30_000 + 200 * RUNS;

let python: Python;

beforeAll(async () => {
  python = await startPython("routing.py");
});

afterAll(async () => {
  await python?.stop();
});

/** What Python answers of one call. */
interface Way {
  readonly error?: string;
  readonly exchange: string;
  readonly routing_key: string | null;
  readonly priority: number | null;
  readonly delivery_mode: number;
  readonly declared: readonly Told[];
}

/** A queue with all that is declared for it. */
interface Told {
  readonly name: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly exchange: readonly unknown[];
  readonly routing_key: string;
  readonly bindings: readonly (readonly unknown[])[];
}

type Fields = Readonly<Record<string, unknown>>;

const QUEUES = ["a", "b", "video", "news", "celery"];
const queueName = fc.constantFrom(...QUEUES, "unknown");
const exchangeName = fc.constantFrom("x", "t", "f", "celery");
const exchangeType = fc.constantFrom("direct", "topic", "fanout");
const key = fc.constantFrom("", "k", "a.#", "celery");
const taskName = fc.constantFrom(
  "video.cut",
  "video.encode",
  "mail.send",
  "a",
  "a.b",
  "x[1]",
  "b7.x",
  "a\nb.c",
  "é.ü",
  "💡.on",
);
const optional = { requiredKeys: [] };

const route = fc.oneof(
  queueName,
  fc.record({
    queue: queueName,
    exchange: exchangeName,
    exchangeType,
    routingKey: key,
    priority: fc.nat(9),
    deliveryMode: fc.constantFrom(1, 2),
  }, optional),
);

/** Among them all that `fnmatch` knows: sets, ranges, empty ones, brackets that are none. */
const globPart = fc.constantFrom(
  "*",
  "?",
  "a",
  "b",
  ".",
  "video",
  "[ab]",
  "[!a]",
  "[a-m]",
  "[z-a]",
  "[]x]",
  "[!]",
  "[",
  "]",
  "-",
  "[a-]",
  "[!z-a]",
  "[^a]",
  "\\",
  "[\\]",
  "é",
  "💡",
  "{",
  "|",
);
const globText = fc.oneof(
  taskName,
  fc.array(globPart, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("")),
);
const pattern = fc.constantFrom("video\\..*", "(a|b)\\.", ".*\\.c", "[^.]+$", "a", "mail", ".*(cut|send)$");

const router = fc.oneof(
  fc.record({ as: fc.constant("map"), pairs: fc.array(fc.tuple(globText, route), { maxLength: 4 }) }),
  fc.record({
    as: fc.constantFrom("map", "pairs"),
    pairs: fc.array(fc.tuple(fc.oneof(globText, fc.record({ re: pattern })), route), { maxLength: 4 }),
  }),
  fc.record({
    function: fc.tuple(
      fc.constantFrom("", "video", "a"),
      fc.constantFrom(null, 1),
      fc.oneof(route, fc.constant(null)),
    ),
  }),
);

const binding = fc.record({ exchange: exchangeName, exchangeType, routingKey: key }, {
  requiredKeys: ["exchange"],
});
const common = {
  exchange: fc.oneof(exchangeName, fc.constant("")),
  routingKey: key,
  queueArguments: fc.constantFrom({}, { "x-max-length": 5 }, { "x-max-priority": 3 }, {
    "x-queue-type": "quorum",
  }),
};
const inMap = fc.record({
  ...common,
  exchangeType,
  durable: fc.boolean(),
  autoDelete: fc.boolean(),
  bindings: fc.array(binding, { minLength: 1, maxLength: 2 }),
  deliveryMode: fc.constantFrom(1, 2),
}, optional);
const inList = fc.oneof(
  fc.record({
    ...common,
    exchangeType,
    bindings: fc.array(binding, { minLength: 1, maxLength: 2 }),
    durable: fc.boolean(),
    autoDelete: fc.boolean(),
    maxPriority: fc.integer({ min: 1, max: 9 }),
    maxLength: fc.integer({ min: 1, max: 9 }),
    messageTtl: fc.integer({ min: 1, max: 9 }),
    expires: fc.integer({ min: 1, max: 9 }),
    deliveryMode: fc.constantFrom(1, 2),
  }, optional),
  fc.record({ ...common, broadcast: fc.constant(true) }, { requiredKeys: ["broadcast"] }),
);
const pairsOf = <T>(options: fc.Arbitrary<T>): fc.Arbitrary<[string, T][]> =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...QUEUES), options), { maxLength: 5, selector: ([name]) => name });
const queues = fc.oneof(
  fc.record({ map: pairsOf(inMap as fc.Arbitrary<Fields>) }),
  fc.record({ list: pairsOf(inList as fc.Arbitrary<Fields>) }),
);

const settings = fc.record({
  queues,
  routers: fc.array(router, { minLength: 1, maxLength: 3 }),
  taskDefaultQueue: fc.constantFrom("celery", "a"),
  taskDefaultExchange: fc.constantFrom("x", "t"),
  taskDefaultExchangeType: exchangeType,
  taskDefaultRoutingKey: fc.constantFrom("k", "task.default"),
  taskQueueMaxPriority: fc.integer({ min: 1, max: 9 }),
  taskDefaultDeliveryMode: fc.constantFrom(1, 2),
  taskCreateMissingQueues: fc.boolean(),
}, optional) as fc.Arbitrary<
  Fields & { queues?: { map?: [string, Fields][]; list?: [string, Fields][] }; routers?: RouterCase[] }
>;

type RouterCase =
  | {
    readonly as: "map" | "pairs";
    readonly pairs: readonly (readonly [string | { readonly re: string }, string | RouteOptions])[];
  }
  | {
    readonly function: readonly [prefix: string, first: number | null, answer: string | RouteOptions | null];
  };

const call = fc.tuple(
  taskName,
  fc.constantFrom([], [1], [2]),
  fc.record({ queue: queueName, exchange: exchangeName, routingKey: key, priority: fc.nat(9) }, optional),
);

/** In Celery's spelling, all the way down. */
function snake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snake);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map((
      [name, part],
    ) => [snakeCase(name), name === "queueArguments" ? part : snake(part)]),
  );
}

function routerOf(of: RouterCase): TaskRouter {
  if ("function" in of) {
    const [prefix, first, answer] = of.function;
    const route: RouteFunction = (name, args) =>
      name.startsWith(prefix) && (first === null || args[0] === first) ? answer : undefined;
    return route;
  }
  const pairs = of.pairs.map(([name, to]) =>
    [typeof name === "string" ? name : new RegExp(name.re), to] as const
  );
  if (of.as === "pairs") return pairs;
  return pairs.every(([name]) => typeof name === "string")
    ? Object.fromEntries(pairs as [string, string][])
    : mapOf(pairs);
}

/** Two patterns of one text are one key to Python's dict. */
function mapOf(pairs: readonly (readonly [string | RegExp, string | RouteOptions])[]): TaskRouter {
  const map = new Map<string, readonly [string | RegExp, string | RouteOptions]>();
  for (const [name, to] of pairs) {
    map.set(String(name) + typeof name, [map.get(String(name) + typeof name)?.[0] ?? name, to]);
  }
  return new Map(map.values());
}

function optionsOf(
  { queues, routers, ...rest }: Fields,
): CeleryOptions {
  const { map, list } = (queues ?? {}) as { map?: [string, Fields][]; list?: [string, Fields][] };
  const made = (routers as RouterCase[] | undefined)?.map(routerOf);
  return {
    ...rest,
    ...(map && { taskQueues: Object.fromEntries(map) }),
    ...(list && { taskQueues: list.map(([name, options]) => ({ name, ...options })) }),
    ...(made && { taskRoutes: made }),
  } as CeleryOptions;
}

/** As Python tells of a queue. */
function told(entities: readonly Entity[]): Told {
  const [exchange, queue, binding, ...more] = entities;
  if (exchange?.kind !== "exchange" || queue?.kind !== "queue" || binding?.kind !== "binding") {
    throw new Error(`not a queue: ${JSON.stringify(entities)}`);
  }
  const bindings: string[][] = [];
  for (let at = 0; at < more.length; at += 2) {
    const [to, by] = more.slice(at, at + 2);
    if (to?.kind === "exchange" && by?.kind === "binding") bindings.push([to.name, to.type, by.routingKey]);
  }
  return {
    name: queue.name,
    durable: queue.durable,
    auto_delete: queue.autoDelete,
    arguments: queue.arguments ?? {},
    exchange: [exchange.name, exchange.type, exchange.durable, exchange.autoDelete],
    routing_key: binding.routingKey,
    bindings: bindings.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  };
}

/** kombu holds bindings as a set. */
function asSet(queue: Told): Told {
  const lines = new Set(queue.bindings.map((each) => JSON.stringify(each)));
  return { ...queue, bindings: [...lines].sort().map((line) => JSON.parse(line) as unknown[]) };
}

/** Where missing queues are not made, Celery cannot send at all without the default queue in `task_queues`. */
function sound(each: Fields & { queues?: { map?: [string, Fields][]; list?: [string, Fields][] } }): boolean {
  const names = [...each.queues?.map ?? [], ...each.queues?.list ?? []].map(([name]) => name);
  return each["taskCreateMissingQueues"] !== false || names.length === 0 ||
    names.includes(String(each["taskDefaultQueue"] ?? "celery"));
}

describe("the way of a task", () => {
  test("is Celery's own, whatever settings, task and options are", { timeout: TIMEOUT }, async () => {
    const met = new Map<string, number>();
    const count = (what: string): void => void met.set(what, (met.get(what) ?? 0) + 1);
    await fc.assert(
      fc.asyncProperty(
        settings.filter(sound),
        fc.array(call, { minLength: 6, maxLength: 6 }),
        async (each, calls) => {
          const theirs = await python.call<Way[]>("route", {
            settings: snake(each),
            calls: calls.map(([name, args, options]) => [name, args, snake(options)]),
          });
          const { app, asked } = setup(optionsOf(each as never));
          const broadcasts = new Set(
            (each.queues?.list ?? []).flatMap(([name, { broadcast }]) => broadcast === true ? [name] : []),
          );
          for (const [at, [name, args, options]] of calls.entries()) {
            const way = theirs[at] as Way;
            const sent = await app.sendTask(name, { ...options, args } as never).catch((error: unknown) =>
              error as Error
            );
            const code = (sent as { code?: string }).code;
            const batch = asked.batches.splice(0)[0];
            const [outgoing] = batch?.messages ?? [];
            if (way.error !== undefined) {
              count(way.error);
              expect(code).toBe("queue-unknown");
              continue;
            }
            // A broadcast is for all, whatever type its route names; Celery sends to the queue of the sender's own process then.
            if (way.routing_key?.startsWith("bcast.")) {
              count("a broadcast as direct");
              continue;
            }
            // By "" to a fanout exchange that we know: Celery sends to the default queue instead, or to nowhere.
            if (way.exchange === "" && outgoing?.mustRoute === false) {
              count("to all, by no key");
              expect(outgoing.to.routingKey).toBe("");
              continue;
            }
            // Celery publishes it to nowhere, without a word.
            if (way.exchange === "" && way.routing_key === null) {
              count("nowhere");
              expect(code).toBe("route-invalid");
              continue;
            }
            count(way.exchange === "" ? "by the default exchange" : "by an exchange");
            expect([outgoing?.to.exchange, outgoing?.to.routingKey]).toEqual([
              way.exchange,
              way.routing_key ?? "",
            ]);
            expect(outgoing?.message.properties["priority"]).toBe(way.priority ?? 0);
            // kombu keeps a queue's delivery mode in its exchange: without one of its own, it is lost there.
            const said = [...each.queues?.map ?? [], ...each.queues?.list ?? []].some((
              [, { deliveryMode, exchange, bindings }],
            ) =>
              deliveryMode === outgoing?.message.properties["delivery_mode"] &&
              (!exchange || bindings !== undefined)
            );
            if (!said) expect(outgoing?.message.properties["delivery_mode"]).toBe(way.delivery_mode);
            const entities = innerEntities(app, name, args, options);
            if (entities.length === 1) {
              // To a broadcast: the exchange alone, where Celery declares nothing and a first message finds none.
              count("to a broadcast");
              expect(way.declared).toEqual([]);
              expect(broadcasts.size).toBeGreaterThan(0);
            } else if (entities.length > 0) {
              expect([asSet(told(entities))]).toEqual(way.declared.map(asSet));
            } else if (way.declared.length > 0) {
              // Celery declares the default queue all the same, which nobody then needs.
              count("exchange and key of the call's own");
              expect(options).toMatchObject({
                exchange: way.exchange,
                ...(way.routing_key !== null && { routingKey: way.routing_key }),
              });
            }
          }
        },
      ),
      { numRuns: RUNS },
    );
    console.log("routes beside Python:", Object.fromEntries(met));
    expect(met.size).toBeGreaterThanOrEqual(6);
  });

  function innerEntities(
    app: object,
    name: string,
    args: readonly unknown[],
    options: Fields,
  ): readonly Entity[] {
    const core = innerOf(app) as unknown as {
      router: { route(call: object): { entities: readonly Entity[] } };
    };
    return core.router.route({ name, args, kwargs: {}, options }).entities;
  }
});

describe("the queues of a worker", () => {
  test("are those that Celery selects, and stand as Celery declares them", { timeout: TIMEOUT }, async () => {
    await fc.assert(
      fc.asyncProperty(
        settings.filter(sound),
        fc.uniqueArray(queueName, { maxLength: 3 }),
        fc.uniqueArray(queueName, { maxLength: 2 }),
        async (each, select, exclude) => {
          // Celery knows a broadcast by its queue's random name, and so does not leave out what is named.
          const excluded = exclude.filter((name) =>
            !each.queues?.list?.some(([queue, { broadcast }]) => queue === name && broadcast === true)
          );
          const asking = { settings: snake(each), select, exclude: excluded };
          const theirs = await python.call<[string, Told][] | null>("consumed", asking);
          const { app } = setup(optionsOf(each as never));
          const inner = innerOf(app);
          const names = inner.consumedQueues(select.length === 0 ? undefined : select, excluded);
          if (theirs === null) {
            expect(() => select.map((name) => inner.queue(name))).toThrow(
              expect.objectContaining({ code: "queue-unknown" }),
            );
            return;
          }
          const ours = names.map((name) => {
            const plan = inner.intake(name);
            return [name, asSet(told(plan.entities))] as const;
          });
          const same = ([name, queue]: readonly [string, Told]): unknown => [
            name,
            { ...asSet(queue), name: queue.name.replace(/^bcast\.[\w-]+$/, "bcast") },
          ];
          expect(ours.map(same)).toEqual(theirs.map(same));
        },
      ),
      { numRuns: RUNS },
    );
  });
});
