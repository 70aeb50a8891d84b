import { describe, expect, test } from "vitest";
import type { Broker } from "../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { ManualClock, manualPlatform } from "../memory/platform.ts";
import { until } from "../support/wait.ts";
import { type Bench, intercept, setup, type SetupOptions } from "./setup.ts";

const QUORUM = { queueArguments: { "x-queue-type": "quorum" } };
const TOPIC = { exchange: "x", exchangeType: "topic", routingKey: "orders.#" } as const;

type Asked = Parameters<NonNullable<Broker["declareDelays"]>>;

/** A broker that has native delayed delivery, and what is asked of it; `answer` may throw. */
function delaying(
  options: SetupOptions,
  answer: (asked: readonly Asked[]) => boolean = () => true,
): { readonly bench: Bench; readonly asked: Asked[] } {
  const asked: Asked[] = [];
  const bench = setup({
    ...options,
    wrapBroker: (broker) =>
      intercept(broker, {
        // The memory broker has no quorum queues.
        declare: (entities, call) =>
          broker.declare(
            entities.map((entity) => entity.kind === "queue" ? { ...entity, arguments: {} } : entity),
            call,
          ),
        declareDelays: async (...question) => {
          asked.push(question);
          return await Promise.resolve(answer(asked));
        },
      }),
  });
  return { bench, asked };
}

const codes = ({ lines }: Bench): unknown[] =>
  lines.flatMap(({ fields }) => fields["code"] === undefined ? [] : [fields["code"]]);

describe("a worker of an app with a quorum queue", () => {
  test("leads native delayed delivery into what it consumes by exchanges that are not direct", async () => {
    const { bench, asked } = delaying({
      brokerNativeDelayedDeliveryQueueType: "classic",
      taskQueues: {
        // Celery asks of any queue, and leads into all.
        orders: TOPIC,
        mail: QUORUM,
        left: { ...TOPIC, exchange: "y" },
        all: { broadcast: true },
      },
    });
    await using _ = bench;
    bench.work({ queues: ["orders", "mail", "all"] });
    await bench.says(/ready\.$/);
    expect(asked.map(([ways, type]) => [ways, type])).toEqual([
      [[{ queue: "orders", exchange: "x", routingKey: "orders.#" }], "classic"],
    ]);
    expect(codes(bench)).toEqual(["delay-direct"]);
    expect((await bench.says(/direct exchange/)).message).toContain("come to mail at once");
  });

  test.each<[string, SetupOptions, number]>([
    ["taskDefaultQueueType", { taskDefaultQueueType: "quorum", taskDefaultExchangeType: "topic" }, 1],
    ["taskQueues", { taskQueues: { celery: { ...TOPIC, ...QUORUM, noDeclare: true } } }, 1],
    ["taskCreateMissingQueueType alone", { taskCreateMissingQueueType: "quorum" }, 0],
    ["nothing", {}, 0],
  ])("knows it by %s", async (_what, options, times) => {
    const { bench, asked } = delaying(options);
    await using _ = bench;
    await bench.broker.declare([
      { kind: "exchange", name: "x", type: "topic", durable: true, autoDelete: false },
      { kind: "queue", name: "celery", durable: true, exclusive: false, autoDelete: false },
    ]);
    bench.work();
    await bench.says(/ready\.$/);
    expect(asked).toHaveLength(times);
    expect(codes(bench)).toEqual([]);
  });

  test("tries four times where the broker is away, and goes on without", async () => {
    const clock = new ManualClock();
    const { bench, asked } = delaying(
      { platform: manualPlatform(clock), taskDefaultQueueType: "quorum" },
      () => {
        throw new ConnectionError("broker-lost", "The broker went away.");
      },
    );
    await using _ = bench;
    bench.work();
    for (let tries = 1; tries < 4; tries++) {
      await until(() => codes(bench).length === 1 + tries, { what: `the failure ${tries}` });
      await clock.advance(1000);
    }
    await bench.says(/ready\.$/);
    expect(asked).toHaveLength(4);
    expect(codes(bench)).toEqual(["delay-direct", ...Array.from({ length: 4 }, () => "delay-undeclared")]);
  });

  test("asks once where it is refused", async () => {
    const { bench, asked } = delaying({ taskDefaultQueueType: "quorum" }, () => {
      throw new ConfigurationError("topology-refused", "No.");
    });
    await using _ = bench;
    bench.work();
    await bench.says(/ready\.$/);
    expect(asked).toHaveLength(1);
    expect(codes(bench)).toEqual(["delay-direct", "delay-undeclared"]);
  });
});
