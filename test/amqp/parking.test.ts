/**
 * Which way a parked message goes, by what the broker answers.
 *
 * @module
 */
import { beforeEach, expect, test } from "vitest";
import { Parking } from "../../adapters/amqp/parking.ts";
import type { Delivery, Outgoing, Verdict } from "../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../src/errors.ts";
import { ManualClock } from "../memory/platform.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { letter } from "../../src/testing/contract/letter.ts";
import { until } from "../support/wait.ts";

const CONFIRMED: Verdict = { is: "confirmed" };
const FORBIDDEN: Verdict = {
  ...{ is: "refused", retry: false },
  reason: "ACCESS_REFUSED - write access to exchange 'celery_delayed_27' refused (403)",
};
const MISSING: Verdict = { ...FORBIDDEN, reason: "NOT_FOUND - no exchange 'celery_delayed_27' (404)" };
const NACKED: Verdict = { is: "refused", reason: "nack", retry: true };
const NATIVE = "celery_delayed_27";
const LADDER = "celeriac.delay.24";

/** Where copies were published, and what is answered there; confirmed, where nothing is said. */
let to: string[];
let answers: Map<string, Verdict>;
/** What standing is answered. */
let stands: () => Promise<void>;
let doubts: number;
/** What publishing waits for. */
let slow: Promise<Verdict> | undefined;
let blocked: string | undefined;
let lates: number;
let clock: ManualClock;
let parking: Parking;

beforeEach(() => {
  to = [];
  answers = new Map();
  slow = undefined;
  blocked = undefined;
  lates = 0;
  stands = () => Promise.resolve();
  doubts = 0;
  clock = new ManualClock();
  parking = new Parking({
    clock,
    topology: "declare",
    native: { carries: () => true, stand: () => stands(), doubt: () => void doubts++ },
    ask: () => Promise.resolve(),
    publish({ to: { exchange } }: Outgoing) {
      to.push(exchange);
      return slow ?? Promise.resolve(answers.get(exchange) ?? CONFIRMED);
    },
    blocked: () => blocked,
  });
});

/** Parks a message for two seconds. */
function park(priority = 0): Promise<string | undefined> {
  const delivery: Pick<Delivery, "message" | "queue" | "route"> = {
    message: letter("text"),
    queue: "q",
    route: { exchange: "", routingKey: "q", priority },
  };
  return parking.park(delivery as Delivery, clock.now() + 2000, false, () => void lates++);
}

test("while the broker takes nothing no copy is sent", async () => {
  blocked = "low on memory";
  expect(await park()).toBe("the broker takes no messages: low on memory");
  expect(to).toEqual([]);
});

test("what is not confirmed in five seconds is given up, by one way alone; a confirm after that is told", async () => {
  for (const [verdict, told] of [[CONFIRMED, 1], [FORBIDDEN, 0]] as const) {
    [to, lates] = [[], 0];
    const answer = deferred<Verdict>();
    slow = answer.promise;
    const parked = park();
    await until(() => to.length === 1, { what: "the copy on its way" });
    await clock.advance(5000);
    expect(await parked).toMatch(/deadline/);
    expect([to, lates]).toEqual([[NATIVE], 0]);
    answer.resolve(verdict);
    await clock.advance(0);
    expect(lates).toBe(told);
  }
});

test("what cannot be declared in five seconds is not waited for; once it is, the next one goes that way", async () => {
  const standing = deferred<void>();
  stands = () => standing.promise;
  const parked = park();
  await clock.advance(5000);
  expect(await parked).toMatch(/deadline/);
  standing.resolve();
  expect(await park()).toBeUndefined();
  expect(to).toEqual([NATIVE]);
});

test("it goes by kombu's queues, but for what has a high priority", async () => {
  expect([await park(), await park(4), await park(5)]).toEqual([undefined, undefined, undefined]);
  expect(to).toEqual([NATIVE, NATIVE, "celeriac.delay.high.24"]);
});

test("without the right to send there it goes by the ladder, and so do the next ones until the connection is lost", async () => {
  answers.set(NATIVE, FORBIDDEN);
  expect([await park(), await park()]).toEqual([undefined, undefined]);
  expect(to).toEqual([NATIVE, LADDER, LADDER]);
  answers.clear();
  parking.forget();
  expect(await park()).toBeUndefined();
  expect(to.at(-1)).toBe(NATIVE);
});

test.each([["an exchange that is missing", MISSING], ["a queue that is", { is: "unroutable" } as const]])(
  "%s is declared once more, then it goes by the ladder",
  async (_what, verdict) => {
    answers.set(NATIVE, verdict);
    expect(await park()).toBeUndefined();
    expect(to).toEqual([NATIVE, NATIVE, LADDER]);
    expect(doubts).toBe(1);
  },
);

test("where kombu's queues cannot be declared it goes by the ladder", async () => {
  stands = () => Promise.reject(new ConfigurationError("topology-mismatch", "406"));
  expect(await park()).toBeUndefined();
  expect(to).toEqual([LADDER]);
});

test.each([["unknown", { is: "unknown", reason: "lost" } as const], ["refused for now", NACKED]])(
  "a copy that is %s is not sent by the other way as well",
  async (_what, verdict) => {
    answers.set(NATIVE, verdict);
    expect(await park()).toBe(verdict.reason);
    expect(to).toEqual([NATIVE]);
    answers.clear();
    expect(await park()).toBeUndefined();
    expect(to).toEqual([NATIVE, NATIVE]);
  },
);

test("a link that is lost meanwhile says nothing of the way", async () => {
  stands = () => Promise.reject(new ConnectionError("broker-lost", "Gone."));
  expect(await park()).toBe("Gone.");
  expect(to).toEqual([]);
  stands = () => Promise.resolve();
  expect(await park()).toBeUndefined();
  expect(to).toEqual([NATIVE]);
});

test("where neither way takes it, the next one tries both again", async () => {
  answers.set(NATIVE, FORBIDDEN).set(LADDER, FORBIDDEN);
  expect(await park()).toContain("403");
  expect(await park()).toContain("403");
  expect(to).toEqual([NATIVE, LADDER, NATIVE, LADDER]);
});
