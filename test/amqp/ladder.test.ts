/**
 * The keys by which a parked message waits, walked through the bindings as a topic exchange would.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { delayEntities, delayLinks } from "../../adapters/amqp/delays.ts";
import { type Ladder, ladderFor, REST, rungsOf, STEP } from "../../adapters/amqp/ladder.ts";
import { MAX_PARK } from "../../adapters/amqp/parking.ts";
import { DELAY_DELIVERY, delayPattern, kombuPattern, topicMatches } from "../../src/protocol/native-delay.ts";

/** What leads on from an exchange: `ttl` is that of the queue in between, ms; 0 where there is none. */
interface Step {
  readonly from: string;
  readonly pattern: string;
  readonly to: string;
  readonly ttl: number;
}

const DUE = "celeriac.delay.due";

function stepsOf(ladder: Ladder): Step[] {
  const own = rungsOf(ladder).flatMap(({ below: to, held, name: from, passed, ttl }): Step[] => [
    { from, to, pattern: held, ttl },
    { from, to, pattern: passed, ttl: 0 },
  ]);
  return ladder.from === undefined ? own : [
    ...own,
    { from: ladder.from, to: `${ladder.name}.${ladder.top}`, pattern: `${ladder.before}#`, ttl: 0 },
  ];
}

function kombuSteps(): Step[] {
  const entities = delayEntities("quorum");
  const queues = entities.filter((entity) => entity.kind === "queue");
  const held = entities.flatMap((entity): Step[] => {
    if (entity.kind !== "binding") return [];
    const table = queues.find(({ name }) => name === entity.queue)?.arguments ?? {};
    return [{
      ...{ from: entity.exchange, pattern: entity.routingKey },
      to: table["x-dead-letter-exchange"] as string,
      ttl: table["x-message-ttl"] as number,
    }];
  });
  return [
    ...held,
    ...delayLinks().map(({ exchange: to, from, routingKey: pattern }) => ({
      ...{ from, to, pattern },
      ttl: 0,
    })),
  ];
}

/** Ways out of queues, ours and Python's. */
const OTHERS: readonly Step[] = ["b", "a.b", "orders.#", "*.mail"].flatMap((key) =>
  [delayPattern(key) ?? "", kombuPattern(key)].map((pattern) => ({
    from: DELAY_DELIVERY,
    pattern,
    to: key,
    ttl: 0,
  }))
);

const WAYS: readonly (readonly [name: string, ladder: Ladder, steps: readonly Step[]])[] = [
  ["kombu's queues and three of ours", REST, [...kombuSteps(), ...stepsOf(REST), ...OTHERS]],
  ["our own queues", ladderFor(0), stepsOf(ladderFor(0))],
  ["our own queues for high priorities", ladderFor(9), stepsOf(ladderFor(9))],
];

const delay = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -1000, max: MAX_PARK }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 5000 }) },
  // Near a whole step, and a whole second.
  fc.tuple(fc.nat(MAX_PARK / STEP), fc.integer({ min: -1, max: 1 })).map(([steps, more]) =>
    steps * STEP + more
  ),
  // A clock may count parts of a ms.
  fc.integer({ min: 0, max: 8 * MAX_PARK }).map((parts) => parts / 8),
);

test.each(WAYS)(
  "by %s there is one way at each level, and it lasts as long as asked, rounded up to a step",
  (_name, ladder, steps) => {
    const seed = Math.trunc(performance.timeOrigin + performance.now()) | 0;
    console.log(`seed ${seed}`);
    fc.assert(
      fc.property(delay, (ms) => {
        const { exchange, routingKey } = ladder.way(ms);
        let [at, waits] = [exchange, 0];
        for (let hops = 0; at !== DUE; hops++) {
          const open = steps.filter(({ from, pattern }) => from === at && topicMatches(pattern, routingKey));
          if (open.length !== 1 || hops > 40) {
            throw new Error(`${open.length} ways for ${routingKey} at ${at}`);
          }
          at = open[0]?.to ?? "";
          waits += open[0]?.ttl ?? 0;
        }
        expect(waits).toBeGreaterThanOrEqual(ms);
        expect(waits).toBeLessThan(Math.max(ms, 0) + STEP);
        expect(new TextEncoder().encode(routingKey).length).toBeLessThan(256);
      }),
      { seed, numRuns: 300 },
    );
  },
);

test("what waits for less than a second goes past kombu's queues", () => {
  expect(REST.way(300)).toEqual({
    exchange: "celeriac.delay.rest.2",
    routingKey: `${"0.".repeat(28)}celeriac-delay.0.1.1`,
  });
  expect(REST.way(1300)).toEqual({
    exchange: "celery_delayed_27",
    routingKey: `${"0.".repeat(27)}1.celeriac-delay.0.1.1`,
  });
});
