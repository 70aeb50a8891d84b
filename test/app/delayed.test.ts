import { describe, expect, test } from "vitest";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { type Broker, Celery, type CeleryOptions, type Outgoing, type PublishOptions } from "../../mod.ts";
import { leadsAstray } from "../../src/app/delayed.ts";
import { delayKey } from "../../src/protocol/native-delay.ts";
import { ManualClock, manualPlatform } from "../memory/platform.ts";
import { intercept } from "../worker/setup.ts";

const TOPIC = { exchange: "x", exchangeType: "topic" } as const;
const QUORUM = { queueArguments: { "x-queue-type": "quorum" } };
const QUEUES: NonNullable<CeleryOptions["taskQueues"]> = {
  mail: { ...TOPIC, ...QUORUM, routingKey: "mail" },
  "a.mail": { ...TOPIC, routingKey: "a.mail" },
  plain: {},
  all: { broadcast: true },
};

type Delays = NonNullable<Broker["declareDelays"]>;

/** An app whose broker has native delayed delivery, and where its messages go. */
function sending(
  options: CeleryOptions = {},
  delays: Delays | null = () => Promise.resolve(true),
): { readonly app: Celery; readonly to: string[]; readonly asked: string[] } {
  const to: string[] = [];
  const asked: string[] = [];
  const broker = intercept(memoryBroker(), {
    publish: (batch: readonly Outgoing[], { declare = [] }: PublishOptions = {}) => {
      if (batch.length === 0) {
        asked.push(...declare.flatMap((entity) => entity.kind === "queue" ? [entity.name] : []));
      }
      to.push(...batch.map((each) => `${each.to.exchange} ${each.to.routingKey} ${each.mustRoute}`));
      return Promise.resolve(batch.map(() => ({ is: "confirmed" as const })));
    },
    ...(delays !== null && {
      declareDelays: (...question: Parameters<Delays>) => {
        const [ways, type] = question;
        asked.push(
          `${type} ${
            ways.map(({ queue, exchange, routingKey }) => `${queue} ${exchange} ${routingKey}`).join()
          }`,
        );
        return delays(...question);
      },
    }),
  });
  const clock = new ManualClock();
  const app = new Celery("sending", {
    broker,
    platform: manualPlatform(clock),
    logger: { log: (_level, _line, fields) => void asked.push(String(fields?.["code"])) },
    taskQueues: QUEUES,
    ...options,
  });
  return { app, to, asked };
}

const later = (seconds: number, key: string): string =>
  `celery_delayed_27 ${delayKey(1000 * seconds, key)} true`;

describe("a call with an ETA, of an app with a quorum queue", () => {
  test("waits in native delayed delivery, whose way out stands before it is sent", async () => {
    const { app, to, asked } = sending({ brokerNativeDelayedDeliveryQueueType: "classic" });
    await using _ = app;
    await app.sendTask("t", { queue: "mail", countdown: 90 });
    expect(asked.slice(0, 2)).toEqual(["mail", "classic mail x mail"]);
    // The clock stands at 1,000 s after the epoch.
    const eta = "1970-01-01T00:17:00.500+00:00";
    await app.sendTask("t", { queue: "mail", eta: new Date(eta) });
    await app.sendTask("t", { queue: "mail", eta });
    await app.sendMany([app.signature("t").set({ queue: "mail", countdown: 1.9 })]);
    app.on("beforeTaskPublish", () => {});
    await app.sendTask("t", { queue: "mail", countdown: 3 });
    expect(to).toEqual([90, 20, 20, 1, 3].map((seconds) => later(seconds, "mail")));
  });

  test("keeps the key that the call names", async () => {
    const { app, to } = sending();
    await using _ = app;
    await app.sendTask("t", { queue: "mail", routingKey: "mail.now", countdown: 5 });
    expect(to).toEqual([later(5, "mail.now")]);
  });

  test.each<[string, object]>([
    ["no ETA", { queue: "mail" }],
    ["a countdown of 0", { queue: "mail", countdown: 0 }],
    ["less than a second", { queue: "mail", countdown: "999ms" }],
    ["an instant that is over", { queue: "mail", eta: new Date(0) }],
    ["more than 8 years", { queue: "mail", countdown: "3107d" }],
    ["a direct exchange", { queue: "plain", countdown: 5 }],
    ["a broadcast", { queue: "all", countdown: 5 }],
    ["an exchange of the call's own", { exchange: "x", routingKey: "mail", countdown: 5 }],
    ["a key that Python's workers lead to another queue, too", { queue: "a.mail", countdown: 5 }],
  ])("goes straight to its queue with %s", async (_what, options) => {
    const { app, to, asked } = sending();
    await using _ = app;
    await app.sendTask("t", options);
    expect(to).toHaveLength(1);
    expect(to[0]).not.toContain("celery_delayed");
    expect(asked.filter((each) => each.includes(" "))).toEqual([]);
  });

  test.each<[string, Delays | null, number]>([
    ["the broker has none", null, 0],
    ["the broker is to declare nothing", () => Promise.resolve(false), 0],
    ["it is refused, which is told once", () => Promise.reject(new Error("no")), 1],
  ])("goes straight to its queue where %s", async (_what, delays, told) => {
    const { app, to, asked } = sending({}, delays);
    await using _ = app;
    for (const countdown of [5, 6]) await app.sendTask("t", { queue: "mail", countdown });
    expect(to).toEqual(["x mail true", "x mail true"]);
    expect(asked.filter((each) => each === "delay-undeclared")).toHaveLength(told);
  });

  test("goes straight to its queue without a quorum queue", async () => {
    const { app, to } = sending({ taskQueues: { mail: { ...TOPIC, routingKey: "mail" } } });
    await using _ = app;
    await app.sendTask("t", { queue: "mail", countdown: 5 });
    expect(to).toEqual(["x mail true"]);
  });

  test("is refused as ever where its ETA makes no sense", async () => {
    const { app, to } = sending();
    await using _ = app;
    await expect(app.sendTask("t", { queue: "mail", eta: "soon" })).rejects.toMatchObject({
      code: "task-invalid",
    });
    await expect(app.sendTask("t", { queue: "mail", countdown: -1 })).rejects.toMatchObject({
      code: "duration-invalid",
    });
    expect(to).toEqual([]);
  });
});

test("a key leads astray where another queue is bound by its end", () => {
  const plan = (name: string, routingKey = name): Parameters<typeof leadsAstray>[2][number] => ({
    ...{ name, routingKey, exchangeType: "topic", broadcast: false },
  });
  const plans = [plan("a.b"), plan("b"), plan("c", "*.c"), plan("d")];
  const astray = plans.filter(({ name, routingKey }) => leadsAstray(routingKey, { name }, plans));
  expect(astray.map(({ name }) => name)).toEqual(["a.b"]);
  expect(leadsAstray("x.c", { name: "x" }, plans)).toBe(true);
  expect(leadsAstray("c", { name: "x" }, [plan("c", "#.c")])).toBe(true);
  expect(leadsAstray("b", { name: "x" }, [{ ...plan("b"), exchangeType: "direct" }])).toBe(false);
});
