/**
 * What happens by time: messages' and queues' ends, the consumer timeout, delayed messages (R-TTL1-2, R-EXP1, R-CT1).
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextDue } from "../../../adapters/memory/rabbit/reducer.ts";
import { deliveries, Server, textOf, words } from "./server.ts";

describe("messages", () => {
  test("an expired message is never delivered, at the very instant of its end not any more", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-message-ttl": 100 } });
    at.publish("q", "1");
    expect(nextDue(server.rabbit)).toBe(server.now + 100);
    server.wait(99);
    expect(server.queue("q").ready.size).toBe(1);
    server.wait(1);
    expect(server.queue("q").ready.size).toBe(0);
    expect(nextDue(server.rabbit)).toBeUndefined();
  });

  test("the shorter one of the queue's and the message's own time counts", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-message-ttl": 100 } });
    at.publish("q", "short", { properties: { expiration: "10" } });
    server.wait(10);
    expect(server.queue("q").ready.size).toBe(0);
    at.publish("q", "long", { properties: { expiration: "1000" } });
    server.wait(100);
    expect(server.queue("q").ready.size).toBe(0);
  });

  test("only the head expires: a short one behind a long one stays and is counted", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.publish("q", "long", { properties: { expiration: "100" } });
    at.publish("q", "short", { properties: { expiration: "10" } });
    server.wait(50);
    expect(words(at.declare("q"))).toEqual(["queue.declare-ok 2/0"]);
    expect(at.get("q")[0]).toMatchObject({ is: "basic.get-ok", messageCount: 0 });
    expect(words(at.get("q"))).toEqual(["basic.get-empty"]);
  });

  test("a short one whose turn comes as the head ends at its own time", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.publish("q", "long", { properties: { expiration: "1000" } });
    at.publish("q", "short", { properties: { expiration: "100" } });
    expect(nextDue(server.rabbit)).toBe(server.now + 1000);
    at.get("q", true);
    expect(nextDue(server.rabbit)).toBe(server.now + 100);
    server.wait(100);
    expect(server.queue("q").ready.size).toBe(0);
  });

  test("a requeue keeps the end that was set first", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-message-ttl": 100 } });
    at.publish("q", "1");
    at.get("q");
    server.wait(60);
    at.nack(1);
    server.wait(39);
    expect(server.queue("q").ready.size).toBe(1);
    server.wait(1);
    expect(server.queue("q").ready.size).toBe(0);
  });

  test("what was held beyond its end is gone when it comes back", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-message-ttl": 100 } });
    at.publish("q", "1");
    at.consume("q", "a");
    server.wait(200);
    expect(at.tags).toEqual([1]);
    expect(words(at.nack(1))).toEqual([]);
  });

  test("no time at all means now or never", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("q", { arguments: { "x-message-ttl": 0 } });
    expect(words(at.publish("q", "never", { mandatory: true }))).toEqual(["basic.ack 1"]);
    at.consume("q", "a");
    expect(words(at.publish("q", "now"))).toEqual(["basic.deliver now", "basic.ack 2"]);
  });
});

describe("queues", () => {
  test("an unused queue goes when its time is over, whatever it holds", () => {
    const server = new Server();
    const at = server.channel();
    const dead = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave" };
    at.declare("grave");
    at.declare("q", { arguments: { "x-expires": 100, ...dead } });
    at.publish("q", "1");
    server.wait(100);
    expect(server.rabbit.queues.has("q")).toBe(false);
    expect(server.queue("grave").ready.size).toBe(0);
  });

  test.each(["declare", "passive", "get"])("a %s renews it", (what) => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-expires": 100 } });
    server.wait(60);
    if (what === "get") at.get("q");
    else at.declare("q", { passive: what === "passive", arguments: { "x-expires": 100 } });
    server.wait(60);
    expect(server.rabbit.queues.has("q")).toBe(true);
    server.wait(40);
    expect(server.rabbit.queues.has("q")).toBe(false);
  });

  test("a publish does not renew it, a consumer keeps it, and its leave begins the time anew", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-expires": 100 } });
    at.consume("q", "a");
    server.wait(500);
    expect(server.rabbit.queues.has("q")).toBe(true);
    at.cancel("a");
    server.wait(60);
    at.publish("q", "1");
    server.wait(40);
    expect(server.rabbit.queues.has("q")).toBe(false);
  });
});

describe("the consumer timeout", () => {
  test("a delivery held too long closes its channel at the next look, and everything it held is back", () => {
    const server = new Server({ consumerTimeout: 1000, channelTick: 300 });
    const at = server.channel();
    at.declare("q");
    for (const text of ["1", "2"]) at.publish("q", text);
    at.consume("q", "a");
    // Looks are at 300, 600, 900 and 1200 after the channel was opened.
    expect(server.wait(1199)).toEqual([]);
    expect(words(server.wait(1))).toEqual(["channel.close 406"]);
    expect(server.queue("q").ready.size).toBe(2);
    expect(nextDue(server.rabbit)).toBeUndefined();
  });

  test("only the oldest counts, and settling in time is enough", () => {
    const server = new Server({ consumerTimeout: 1000, channelTick: 100 });
    const at = server.channel();
    at.declare("q");
    at.publish("q", "1");
    at.consume("q", "a");
    server.wait(900);
    at.publish("q", "2");
    at.ack(1);
    expect(words(server.wait(900))).toEqual([]);
    expect(words(server.wait(200))).toEqual(["channel.close 406"]);
  });

  test("it is 30 minutes, looked at each minute", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.publish("q", "1");
    at.get("q");
    expect(nextDue(server.rabbit)).toBe(server.now + 31 * 60_000);
  });
});

describe("delayed messages", () => {
  test("one that waits for its instant is in no queue until then, and is confirmed at once", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("q");
    expect(words(at.publish("q", "later", { notBefore: server.now + 100 }))).toEqual(["basic.ack 1"]);
    expect(words(at.publish("nowhere", "lost", { notBefore: server.now + 100, mandatory: true }))).toEqual([
      "basic.return lost",
      "basic.ack 2",
    ]);
    at.publish("q", "sooner", { notBefore: server.now + 50 });
    at.publish("q", "now", { notBefore: server.now });
    at.consume("q", "a");
    expect(deliveries(server.wait(99)).map(textOf)).toEqual(["sooner"]);
    expect(deliveries(server.wait(1)).map(textOf)).toEqual(["later"]);
  });
});

test("one long step gives what many short ones give", () => {
  const stepsArb = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 20 });
  const messagesArb = fc.array(fc.record({ ttl: fc.nat(80), at: fc.nat(30) }), {
    minLength: 1,
    maxLength: 10,
  });
  let ends = 0;
  fc.assert(
    fc.property(stepsArb, messagesArb, (steps, messages) => {
      const run = (waits: readonly number[]) => {
        const server = new Server();
        const at = server.channel();
        const back = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "second" };
        at.declare("first", { arguments: back });
        at.declare("second", {
          arguments: {
            "x-message-ttl": 25,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "third",
          },
        });
        at.declare("third", { arguments: { "x-expires": 200 } });
        for (const { ttl, at: delay } of messages) {
          at.publish("first", `${ttl}`, {
            properties: { expiration: String(ttl) },
            notBefore: server.now + delay,
          });
        }
        for (const ms of waits) server.wait(ms);
        const queues = [...server.rabbit.queues.values()];
        ends += queues.length === 2 ? 1 : 0;
        return queues.map((
          queue,
        ) => [queue.name, queue.tally, [...queue.ready].map(({ message }) => message.headers)]);
      };
      expect(run(steps)).toEqual(run([steps.reduce((sum, ms) => sum + ms, 0)]));
    }),
    { numRuns: 300 },
  );
  console.log(`stepping: 300 runs, ${ends} queue ends`);
  expect(ends).toBeGreaterThan(0);
});

test("time that goes back is not heard", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q", { arguments: { "x-message-ttl": 100 } });
  server.now -= 1000;
  at.publish("q", "1");
  server.wait(1099);
  expect(server.queue("q").ready.size).toBe(1);
  server.wait(1);
  expect(server.queue("q").ready.size).toBe(0);
});
