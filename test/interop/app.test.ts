import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bind, parseParams } from "../../src/app/binding.ts";
import { findSetting, snakeCase } from "../../src/app/settings-names.ts";
import { SETTING_NAMES } from "../../src/app/settings-table.ts";
import type { Entity, QueueEntity } from "../../mod.ts";
import { setup } from "../app/setup.ts";
import { type Python, startPython } from "../support/python.ts";

let python: Python;

beforeAll(async () => {
  python = await startPython("app.py");
});

afterAll(async () => {
  await python?.stop();
});

describe("binding", () => {
  test("fits and fails as Python's own, sentence for sentence", async () => {
    const name = fc.constantFrom("a", "b", "c", "d", "e");
    const call = fc.record({
      names: fc.uniqueArray(name, { maxLength: 4 }),
      required: fc.nat(4),
      rest: fc.boolean(),
      args: fc.array(fc.nat(9), { maxLength: 5 }),
      kwargs: fc.dictionary(name, fc.nat(9), { maxKeys: 3 }),
    });
    const calls = fc.sample(call, 1500);
    const functions = calls.map((
      { names, required, rest },
    ) => [names, Math.min(required, names.length), rest]);
    const theirs = await python.call<{ error?: string; bound?: unknown[] }[]>("bind", {
      functions,
      calls: calls.map(({ args, kwargs }, at) => [at, args, kwargs]),
    });
    const sentences = new Map<string, number>();
    calls.forEach(({ names, required, rest, args, kwargs }, at) => {
      const params = names.map((each, place) => place < required ? each : `${each}?`);
      const parsed = parseParams("tasks.add", [...params, ...(rest ? ["*rest"] : [])]);
      let ours: { error?: string; bound?: unknown[] };
      try {
        const bound = bind("tasks.add", parsed, args, kwargs);
        // Python fills in the default that JavaScript leaves undefined.
        const named = names.map((_each, place) => bound[place] ?? null);
        ours = { bound: [...named, ...(rest ? bound.slice(names.length) : [])] };
      } catch (error) {
        ours = { error: (error as Error).message.replace(/^tasks\.add\(\) /, "") };
      }
      expect(ours, JSON.stringify(calls[at])).toEqual(theirs[at]);
      const kind = theirs[at]?.error?.replace(/'\w+'|\d+/g, "…").slice(0, 24) ?? "fits";
      sentences.set(kind, (sentences.get(kind) ?? 0) + 1);
    });
    console.log("binding beside Python:", Object.fromEntries(sentences));
    expect(sentences.size).toBeGreaterThan(5);
  });
});

describe("settings", () => {
  /** Ours in Celery's units. */
  function inSeconds(name: string, value: unknown): unknown {
    // Both take 0 for none.
    if (LIMITS.has(name)) return typeof value === "number" && value > 0 ? value / 1000 : null;
    if (TIMES.has(name)) return typeof value === "number" ? value / 1000 : null;
    if (value === undefined || value === Infinity) return null;
    if (Array.isArray(value) && value.length === 0) return UNSET.has(name) ? null : [];
    return value;
  }

  const TIMES = new Set(["broker_connection_timeout", "broker_heartbeat", "result_expires"]);
  const LIMITS = new Set(["task_time_limit", "task_soft_time_limit"]);
  const UNSET = new Set(["broker_url"]);

  /** Where ours differs, and why. */
  const DIFFERENT: Readonly<Record<string, string>> = {
    worker_concurrency: "None here too, but the worker then runs 10 at a time, not one a CPU",
    broker_failover_strategy: "None is kombu's round-robin",
    task_publish_retry_policy: "the same, in ms and camelCase",
    result_accept_content: "None is resolved to accept_content",
    task_default_exchange: "None is resolved to the queue's name",
    task_default_routing_key: "None is resolved to the queue's name",
  };

  test("have the defaults of the Celery that runs", async () => {
    const { app } = setup();
    const conf = app.conf as unknown as Readonly<Record<string, unknown>>;
    const theirs = await python.call<Record<string, unknown>>("defaults", {
      names: [...SETTING_NAMES].map(snakeCase),
    });
    const compared = Object.keys(theirs).filter((name) => !(name in DIFFERENT));
    expect(compared.length).toBeGreaterThan(25);
    for (const name of compared) {
      const camel = [...SETTING_NAMES].find((each) => snakeCase(each) === name) ?? "";
      expect([name, inSeconds(name, conf[camel])]).toEqual([name, theirs[name]]);
    }
  });

  test("are found by every old name that Celery maps", async () => {
    const theirs = Object.entries(await python.call<Record<string, string>>("renamed"));
    expect(theirs.length).toBeGreaterThan(150);
    for (const [old, name] of theirs) {
      const found = findSetting(old, SETTING_NAMES);
      expect([old, found?.is === "ours" ? snakeCase(found.name) : found?.name]).toEqual([old, name]);
    }
  });
});

describe("routing", () => {
  interface Way {
    readonly exchange: string;
    readonly routing_key: string;
    readonly priority?: number | null;
    readonly declared: readonly (readonly unknown[])[];
  }

  const settings: readonly Readonly<Record<string, unknown>>[] = [
    {},
    { task_default_queue: "mine" },
    { task_default_queue: "mine", task_default_exchange: "x", task_default_routing_key: "k" },
    {
      task_default_exchange: "tasks",
      task_default_exchange_type: "topic",
      task_default_routing_key: "task.default",
    },
    { task_queue_max_priority: 10, task_default_priority: 3 },
    {
      task_queues: {
        plain: {},
        keyed: { routing_key: "k" },
        moved: { exchange: "x" },
        topic: { exchange: "t", exchange_type: "topic", routing_key: "a.#" },
        many: { exchange: "f", exchange_type: "fanout" },
        long: { queue_arguments: { "x-max-length": 5 } },
      },
      task_default_queue: "plain",
    },
    {
      task_routes: {
        "a.exact": { queue: "exact", priority: 4 },
        "a.*": "all",
        "b[12].*": { queue: "some" },
        "b?.x": "literal",
      },
    },
    { task_routes: { "a.exact": { exchange: "x", routing_key: "k" } } },
  ];
  const names = ["a.exact", "a.other", "b1.x", "b3.x", "plain"];
  const options: readonly Readonly<Record<string, unknown>>[] = [
    {},
    { queue: "q" },
    { queue: "plain" },
    { queue: "keyed" },
    { queue: "moved" },
    { queue: "topic" },
    { queue: "topic", routing_key: "a.b" },
    { queue: "many" },
    { queue: "long", priority: 7 },
    { exchange: "x" },
    { routing_key: "k" },
    { queue: "q", exchange: "x", routing_key: "k" },
  ];

  test.each(settings)("is Celery's under %j", async (each) => {
    const calls = names.flatMap((name) => options.map((option) => [name, option] as const));
    const theirs = await python.call<Way[]>("route", { settings: each, calls });
    for (const [at, [name, option]] of calls.entries()) {
      const { app, asked } = setup();
      app.configFromObject(each);
      const { routing_key: routingKey, ...rest } = option;
      await app.sendTask(name, {
        ...rest,
        ...(routingKey === undefined ? {} : { routingKey: routingKey as string }),
      });
      const [outgoing] = asked.batches[0]?.messages ?? [];
      const way = theirs[at] as Way;
      const context = JSON.stringify([each, name, option]);
      expect(outgoing?.to.exchange, context).toBe(way.exchange);
      // An exchange without a key, not direct: Celery publishes with no key at all, we with the queue's.
      if (way.routing_key !== null) expect(outgoing?.to.routingKey, context).toBe(way.routing_key);
      // Celery's send_task leaves task_default_priority to tasks that it knows; ours is every task's.
      const fallback = Number(each["task_default_priority"] ?? 0);
      expect(outgoing?.message.properties["priority"], context).toBe(way.priority ?? fallback);
      // Exchange and key both named: Celery declares the default queue all the same, which nobody then needs.
      if (asked.declared.length > 0) expect(asked.declared.map(declared), context).toEqual(way.declared);
    }
  });

  /** As Celery shows a queue. */
  function declared(entities: readonly Entity[]): readonly unknown[] {
    const find = <K extends Entity["kind"]>(kind: K): Extract<Entity, { kind: K }> =>
      entities.find((entity) => entity.kind === kind) as Extract<Entity, { kind: K }>;
    const queue: QueueEntity = find("queue");
    const { name, type } = find("exchange");
    return [queue.name, name, type, find("binding").routingKey, queue.arguments ?? null];
  }
});
