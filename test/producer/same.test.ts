import fc from "fast-check";
import { expect, test } from "vitest";
import { Celery, type CeleryOptions, type SendOptions } from "../../mod.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { Producer, type ProducerSendOptions, queues, routes } from "../../src/producer/mod.ts";
import { type Asked, HandClock, stubBroker } from "../app/setup.ts";

const NAMES = ["tasks.add", "video.encode", "video.[x]", "mail", "a?b", "é*"];

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("\u2028", "\ud800", "it's", '"'),
);
const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-0, 1e16, 1e-5, NaN, Infinity));
const instant = fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true });
const leaf = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.constant(null),
  fc.bigInt(),
  instant,
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("any"), { maxLength: 4 }),
    fc.dictionary(text, tie("any"), { maxKeys: 4 }),
  ),
})).any;

const duration = fc.oneof(
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.constantFrom("250ms" as const, "10s" as const, "1h" as const),
);
const queue = fc.constantFrom("celery", "default", "sums", "known", "topic", "fan");

const call: fc.Arbitrary<ProducerSendOptions> = fc.record({
  args: fc.array(
    fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: fc.constant(undefined) }),
    { maxLength: 4 },
  ),
  kwargs: fc.dictionary(text, fc.oneof(value, fc.constant(undefined)), { maxKeys: 4 }),
  queue,
  countdown: duration,
  eta: instant,
  expires: fc.oneof(duration, instant),
  priority: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 0, max: 255 }) }, {
    weight: 1,
    arbitrary: fc.constantFrom(-1, 256, 0.5),
  }),
  taskId: fc.oneof({ weight: 20, arbitrary: fc.uuid() }, { weight: 1, arbitrary: text }),
  headers: fc.dictionary(fc.constantFrom("x", "trace", "x-death"), text),
  shadow: text,
  argsrepr: text,
  kwargsrepr: text,
  ignoreResult: fc.boolean(),
  timeLimit: duration,
  softTimeLimit: duration,
  replyTo: fc.uuid(),
  rootId: fc.uuid(),
  parentId: fc.oneof(fc.uuid(), fc.constant(null)),
}, { requiredKeys: [] }).map(({ softTimeLimit, ...options }) => ({
  ...options,
  // Only `Celery` looks which of two limits is the longer one.
  ...(options.timeLimit === undefined && softTimeLimit !== undefined && { softTimeLimit }),
}));

const settings: fc.Arbitrary<CeleryOptions> = fc.record({
  taskDefaultQueue: fc.constantFrom("celery", "default"),
  taskDefaultPriority: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(null)),
  taskQueues: fc.constantFrom({
    known: {},
    celery: { queueArguments: { "x-queue-type": "quorum" } },
    topic: { exchange: "news", exchangeType: "topic" as const, routingKey: "a.b" },
    fan: { exchange: "all", exchangeType: "fanout" as const },
  }),
  taskRoutes: fc.dictionary(
    fc.constantFrom("tasks.add", "video.*", "*", "m*l", "[!v]*", "a?b"),
    fc.oneof(queue, fc.record({ queue, priority: fc.integer({ min: 0, max: 9 }) }, { requiredKeys: [] })),
  ),
}, { requiredKeys: [] });

/** The same settings as a producer takes them. */
function lean({ taskDefaultQueue, taskDefaultPriority, taskQueues, taskRoutes }: CeleryOptions): object {
  return {
    ...(taskDefaultQueue !== undefined && { taskDefaultQueue }),
    ...(taskDefaultPriority !== undefined && { taskDefaultPriority }),
    ...(taskQueues && { taskQueues: queues(taskQueues as Parameters<typeof queues>[0]) }),
    ...(taskRoutes && { taskRoutes: routes(taskRoutes as Parameters<typeof routes>[0]) }),
  };
}

function platform() {
  let drawn = 0;
  return {
    ...systemPlatform,
    clock: new HandClock(),
    ids: { uuid: () => `id-${++drawn}` },
    host: { ...systemPlatform.host, hostname: "host", pid: 7 },
  };
}

/** All that the broker was asked, comparable, without what each sender draws for itself. */
function seen(asked: Asked, told: ReadonlySet<unknown>): unknown {
  return asked.batches.map(({ messages, call: { deadline } = {}, declare }) => [
    messages.map(({ message: { body, headers, properties, ...rest }, to, mustRoute }) => ({
      to,
      mustRoute,
      ...rest,
      // The order of the fields counts too. What people are shown of the arguments differs, by design.
      headers: Object.entries(headers).map(([name, said]) =>
        /^(kw)?argsrepr$/.test(name) && !told.has(said) ? [name, typeof said] : [name, said]
      ),
      properties: Object.entries(properties),
      body: new TextDecoder().decode(body),
    })),
    deadline,
    declare,
  ]);
}

/** The id, or the whole failure. */
async function outcome(sending: Promise<{ readonly id: string }>): Promise<unknown> {
  return await sending.then(
    ({ id }) => ({ id }),
    ({ name, code, message }: { name: string; code?: string; message: string }) => ({ name, code, message }),
  );
}

test("what a producer sends is what Celery sends, byte for byte", async () => {
  const covered = { sent: 0, refused: 0, routed: 0, timed: 0 };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...NAMES), call, settings, async (name, options, given) => {
      const ours = stubBroker();
      const theirs = stubBroker();
      const producer = new Producer({ ...lean(given), broker: ours.broker, platform: platform() });
      const app = new Celery("same", {
        ...given,
        broker: theirs.broker,
        platform: platform(),
      });
      const [one, other] = await Promise.all([
        outcome(producer.sendTask(name, options)),
        outcome(app.sendTask(name, options as SendOptions)),
      ]);
      expect(one).toEqual(other);
      const told = new Set<unknown>([options.argsrepr, options.kwargsrepr]);
      expect(seen(ours.asked, told)).toEqual(seen(theirs.asked, told));
      if (ours.asked.batches.length > 0) covered.sent++;
      else covered.refused++;
      if (ours.asked.batches[0]?.messages[0]?.to.routingKey !== "celery") covered.routed++;
      if (options.countdown !== undefined || options.expires !== undefined) covered.timed++;
    }),
    { numRuns: 500 },
  );
  console.log(`producer and Celery alike: ${JSON.stringify(covered)}`);
  expect(Math.min(...Object.values(covered))).toBeGreaterThan(25);
});
