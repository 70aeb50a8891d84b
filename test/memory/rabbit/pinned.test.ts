/**
 * What random sequences found on RabbitMQ 3.10.8 and the reducer did otherwise: each once, as short as it could be made.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { RabbitEvent } from "../../../adapters/memory/rabbit/event.ts";
import { type At, Server, textOf, words } from "./server.ts";

const TO_GRAVE = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave" };

/** The text with which the server closed the channel. */
function reason(events: readonly RabbitEvent[]): string | undefined {
  const [event] = events;
  return event?.is === "channel.close" ? event.text : undefined;
}

function deathsOf(at: At, queue: string): readonly string[] {
  const [event] = at.get(queue, true);
  if (event?.is !== "basic.get-ok") throw new Error(`${queue} is empty`);
  const deaths = event.message.headers["x-death"] as readonly Record<string, unknown>[];
  return deaths.map(({ queue: name, reason: why, count }) => `${name} ${why} ${count}`);
}

describe("names", () => {
  test('a passive declaration of the name "" asks for no other queue', () => {
    const at = new Server().channel();
    at.declare("q");
    expect(reason(at.declare("", { passive: true }))).toBe("NOT_FOUND - no queue '' in vhost '/'");
  });

  test("the default exchange is not even asked about", () => {
    const events = new Server().channel().exchange("", "direct", { passive: true });
    expect(reason(events)).toBe("ACCESS_REFUSED - operation not permitted on the default exchange");
  });

  test('what the name "" stands for comes before a tag in use, and before the default exchange', () => {
    const server = new Server();
    server.channel().declare("q");
    const at = server.channel();
    at.consume("q", "t");
    expect(reason(at.consume("", "t"))).toBe("NOT_FOUND - no previously declared queue");
    expect(reason(server.channel().bind("", ""))).toBe("NOT_FOUND - no previously declared queue");
    expect(reason(server.channel().unbind("", ""))).toBe("NOT_FOUND - no previously declared queue");
  });

  test('a binding of the queue "" by the key "" has that queue\'s name for its key', () => {
    const at = new Server().channel();
    at.declare("q");
    at.exchange("x", "direct");
    at.bind("", "x");
    at.publish("", "by nothing", { exchange: "x" });
    at.publish("q", "by its name", { exchange: "x" });
    expect(at.get("q", true).map(({ is }) => is)).toEqual(["basic.get-ok"]);
    expect(at.get("q", true).map(({ is }) => is)).toEqual(["basic.get-empty"]);
    at.unbind("", "x", "");
    at.publish("q", "by its name, unbound", { exchange: "x" });
    expect(at.get("q", true).map(({ is }) => is)).toEqual(["basic.get-empty"]);
  });
});

describe("words", () => {
  test.each<[string, Record<string, unknown>]>([
    ["{max_value_exceeded,300}", { "x-max-priority": 300 }],
    ["{value_negative,-1}", { "x-message-ttl": -1 }],
    ["{value_zero,0}", { "x-expires": 0 }],
    ["{value_too_large,315360000001}", { "x-message-ttl": 315_360_000_001 }],
    ['"expected integer, got longstr"', { "x-max-length": "a" }],
    ['"expected integer, got float"', { "x-max-priority": 1.5 }],
    ["invalid_overflow", { "x-overflow": "nonsense" }],
    ["{unacceptable_type,signedint}", { "x-overflow": 5 }],
    ["{unacceptable_type,longstr}", { "x-single-active-consumer": "a" }],
    ["\"unsupported queue mode 'nonsense'\"", { "x-queue-mode": "nonsense" }],
    ["\"unsupported queue type 'nonsense'\"", { "x-queue-type": "nonsense" }],
    ["routing_key_but_no_dlx_defined", { "x-dead-letter-routing-key": "k" }],
  ])("an argument is refused with %s", (why, table) => {
    const [key = ""] = Object.keys(table);
    expect(reason(new Server().channel().declare("q", { arguments: table }))).toBe(
      `PRECONDITION_FAILED - invalid arg '${key}' for queue 'q' in vhost '/': ${why}`,
    );
  });

  test("a dead letter exchange that is no text has words of its own", () => {
    expect(reason(new Server().channel().declare("q", { arguments: { "x-dead-letter-exchange": 5 } }))).toBe(
      "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'",
    );
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["received the value '3' of type 'signedint' but current is none", {}, { "x-max-priority": 3 }],
    ["received none but current is the value 'x' of type 'longstr'", { "x-dead-letter-exchange": "x" }, {}],
    ["received '4' but current is '3'", { "x-max-priority": 3 }, { "x-max-priority": 4 }],
  ])("a redeclaration is refused with: %s", (why, table, again) => {
    const server = new Server();
    server.channel().declare("q", { arguments: table });
    expect(reason(server.channel().declare("q", { arguments: again }))).toMatch(
      new RegExp(`vhost '/': ${why}$`),
    );
  });

  test.each([
    ["-1", "{value_negative,-1}"],
    ["x", "no_integer"],
    ["1e3", '{leftover_string,"e3"}'],
    ["5 ", '{leftover_string," "}'],
    ["315360000001", "{value_too_large,315360000001}"],
  ])("the expiration %j is refused with %s", (expiration, why) => {
    const at = new Server().channel();
    at.declare("q");
    expect(reason(at.publish("q", "1", { properties: { expiration } }))).toBe(
      `PRECONDITION_FAILED - invalid expiration '${expiration}': ${why}`,
    );
  });

  test("a text of more than 255 bytes ends in three dots", () => {
    const server = new Server();
    const name = "q".repeat(100);
    server.channel().declare(name, { exclusive: true });
    const text = reason(server.channel().get(name));
    expect(text).toMatch(
      /^RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q+' in vhost.*\.\.\.$/,
    );
    expect(text?.length).toBe(255);
  });
});

test("a message that comes before others by its priority is not looked at for its end until the queue is", () => {
  const at = new Server().channel();
  at.declare("grave");
  at.declare("q", { arguments: { "x-max-priority": 2, ...TO_GRAVE } });
  at.publish("q", "low");
  at.publish("q", "high", { properties: { priority: 2, expiration: "0" } });
  expect(words(at.declare("q", { passive: true }))).toEqual(["queue.declare-ok 2/0"]);
  expect(words(at.get("q"))).toEqual(["basic.get-ok high"]);
});

test("of a queue that is neither empty nor unused it is said that it is not empty", () => {
  const at = new Server().channel();
  at.declare("q");
  at.qos(1);
  at.consume("q", "c");
  for (const text of ["1", "2"]) at.publish("q", text);
  expect(reason(at.remove("q", { ifUnused: true, ifEmpty: true }))).toBe(
    "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty",
  );
});

test("several rejected at once die by priority, then by age", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("grave");
  at.declare("q", { arguments: { "x-max-priority": 3, ...TO_GRAVE } });
  at.consume("q", "c");
  for (const [text, priority] of [["a", 0], ["b", 3], ["c", 0], ["d", 3]] as const) {
    at.publish("q", text, { properties: { priority } });
  }
  at.nack(0, true, false);
  expect(server.drain("grave")).toEqual(["b", "d", "a", "c"]);
});

test("of the deaths only the first is certainly the newest: the others are turned round each time", () => {
  const at = new Server().channel();
  for (const [queue, next] of [["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"]] as const) {
    at.declare(queue, { arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": next } });
  }
  at.declare("e");
  at.publish("a", "1");
  for (const [index, queue] of ["a", "b", "c", "d"].entries()) {
    at.get(queue);
    at.reject(index + 1);
  }
  expect(deathsOf(at, "e")).toEqual(["d rejected 1", "b rejected 1", "a rejected 1", "c rejected 1"]);
});

test("once rejected, a message goes round for ever where nothing else stops it, and time goes on", () => {
  const server = new Server();
  const at = server.channel();
  const now = { "x-message-ttl": 0, "x-dead-letter-exchange": "" };
  at.declare("a", { arguments: { ...now, "x-dead-letter-routing-key": "b" } });
  at.declare("b", { arguments: { ...now, "x-dead-letter-routing-key": "a" } });
  at.consume("a", "c");
  at.publish("a", "1");
  at.cancel("c");
  at.reject(1);
  server.wait(60_000);
  expect(server.queue("a").tally.expired).toBeGreaterThan(1000);
  expect(words(at.consume("a", "d"))).toEqual(["basic.consume-ok d"]);
  expect(words(server.wait(1000))).toEqual(["basic.deliver 1"]);
  const { expired } = server.queue("a").tally;
  server.wait(60_000);
  expect(server.queue("a").tally.expired).toBe(expired);
});

describe("recover", () => {
  test("gives back all that the channel holds, and answers afterwards", () => {
    const at = new Server().channel();
    at.declare("q");
    for (const text of ["1", "2", "3"]) at.publish("q", text);
    for (let turn = 0; turn < 3; turn++) at.get("q");
    at.consume("q", "c");
    expect(words(at.recover())).toEqual([
      "basic.deliver 1",
      "basic.deliver 2",
      "basic.deliver 3",
      "basic.recover-ok",
    ]);
  });

  test("without requeue ends the connection with 540", () => {
    expect(words(new Server().channel().recover(false))).toEqual(["connection.close 540"]);
  });
});

describe("a single active consumer", () => {
  const single = { arguments: { "x-single-active-consumer": true } };

  test("is served alone, full or not; a higher one that comes does not take over", () => {
    const at = new Server().channel();
    at.declare("q", single);
    at.qos(1);
    at.consume("q", "a");
    at.consume("q", "b", { arguments: { "x-priority": 9 } });
    expect(words(at.publish("q", "1"))).toEqual(["basic.deliver 1"]);
    expect(words(at.publish("q", "2"))).toEqual([]);
    expect(at.ack(1)).toMatchObject([{ is: "basic.deliver", consumerTag: "a" }]);
  });

  test("is followed by the highest one; what waits comes with the next thing that happens to the queue", () => {
    const at = new Server().channel();
    at.declare("q", single);
    at.qos(1);
    for (const [tag, priority] of [["a", 0], ["b", 0], ["c", 5]] as const) {
      at.consume("q", tag, { arguments: { "x-priority": priority } });
    }
    for (const text of ["1", "2", "3"]) at.publish("q", text);
    expect(words(at.cancel("a"))).toEqual(["basic.cancel-ok a"]);
    expect(at.publish("q", "4")).toEqual([]);
    expect(at.ack(1).map((event) => "consumerTag" in event ? `${event.consumerTag} ${event.is}` : event.is))
      .toEqual([
        "c basic.deliver",
      ]);
  });

  test("a channel's end hands over at once", () => {
    const server = new Server();
    const [first, second] = [server.channel(), server.channel()];
    first.declare("q", single);
    first.consume("q", "a");
    second.consume("q", "b");
    first.publish("q", "1");
    expect(first.close().filter(({ is }) => is === "basic.deliver")).toMatchObject([
      { consumerTag: "b", redelivered: true },
    ]);
  });

  test("nobody may ask to be the only one", () => {
    const at = new Server().channel();
    at.declare("q", single);
    expect(reason(at.consume("q", "a", { exclusive: true }))).toBe(
      "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
    );
  });
});

test("reject-publish-dlx refuses and buries", () => {
  const server = new Server();
  const at = server.channel().confirms();
  at.declare("grave");
  at.declare("q", { arguments: { "x-max-length": 1, "x-overflow": "reject-publish-dlx", ...TO_GRAVE } });
  expect(words(at.publish("q", "1", { mandatory: true }))).toEqual(["basic.ack 1"]);
  expect(words(at.publish("q", "2", { mandatory: true }))).toEqual(["basic.nack 2"]);
  const [event] = at.get("grave", true);
  if (event?.is !== "basic.get-ok") throw new Error("nothing in the grave");
  expect(textOf(event)).toBe("2");
  expect(event.message.headers["x-first-death-reason"]).toBe("maxlen");
});
