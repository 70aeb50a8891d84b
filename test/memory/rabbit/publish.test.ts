/**
 * Publishing: routes, returns, confirms, refusals (R-CNF1-5, R-PUB1-3, R-MAX1).
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { topicMatches, topicWords } from "../../../adapters/memory/rabbit/exchange.ts";
import { FakeUnsupported } from "../../../adapters/memory/rabbit/fault.ts";
import { Server, textOf, words } from "./server.ts";

describe("confirms", () => {
  test("each publish gets its number, from 1, and only once confirms are selected", () => {
    const at = new Server().channel();
    at.declare("q");
    expect(words(at.publish("q", "before"))).toEqual([]);
    at.confirms();
    expect(words(at.publish("q", "one"))).toEqual(["basic.ack 1"]);
    expect(words(at.publish("nowhere", "two"))).toEqual(["basic.ack 2"]);
    at.confirms();
    expect(words(at.publish("q", "three"))).toEqual(["basic.ack 3"]);
  });

  test("a mandatory message that no queue takes is returned before its confirm, as the very object that was sent", () => {
    const at = new Server().channel().confirms();
    const events = at.publish("nowhere", "lost", { mandatory: true });
    expect(words(events)).toEqual(["basic.return lost", "basic.ack 1"]);
    expect(events[0]).toMatchObject({ code: 312, text: "NO_ROUTE", exchange: "", routingKey: "nowhere" });
  });

  test("a full queue that refuses gives a nack, though another one took the message", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("full", { arguments: { "x-max-length": 1, "x-overflow": "reject-publish" } });
    at.declare("free");
    at.bind("full", "amq.fanout");
    at.bind("free", "amq.fanout");
    expect(words(at.publish("", "one", { exchange: "amq.fanout" }))).toEqual(["basic.ack 1"]);
    expect(words(at.publish("", "two", { exchange: "amq.fanout", mandatory: true }))).toEqual([
      "basic.nack 2",
    ]);
    expect(server.drain("free")).toEqual(["one", "two"]);
    expect(server.drain("full")).toEqual(["one"]);
  });
});

describe("refusals", () => {
  test("an exchange that is not there closes the channel with 404, and what follows is not heard", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("q");
    expect(words(at.publish("k", "lost", { exchange: "missing" }))).toEqual(["channel.close 404"]);
    expect(words(at.publish("q", "unheard"))).toEqual([]);
    expect(words(at.close())).toEqual([]);
    expect(server.queue("q").ready.size).toBe(0);
    server.send({ do: "channel.close-ok", connection: at.connection, channel: at.channel });
    expect(words(at.open().publish("q", "heard"))).toEqual([]);
    expect(server.queue("q").ready.size).toBe(1);
  });

  test("a body over the limit closes the channel with 406", () => {
    const at = new Server({ maxMessage: 3 }).channel();
    at.declare("q");
    expect(words(at.publish("q", "abc"))).toEqual([]);
    expect(words(at.publish("q", "abcd"))).toEqual(["channel.close 406"]);
  });

  test.each(["-1", "x", "", "1.5", "5 ", " 5", "1e3", "315360000001", 5, null])(
    "expiration %j closes with 406",
    (expiration) => {
      const at = new Server().channel();
      at.declare("q");
      expect(words(at.publish("q", "one", { properties: { expiration } }))).toEqual(["channel.close 406"]);
    },
  );

  test.each(["0", "+5", "007", "315360000000"])("expiration %j is taken", (expiration) => {
    const at = new Server().channel();
    at.declare("q");
    expect(words(at.publish("q", "one", { properties: { expiration } }))).toEqual([]);
  });

  test("what the fake does not know of a message is said, and nothing is published", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("q");
    expect(() => at.publish("q", "one", { properties: { user_id: "guest" } })).toThrow(FakeUnsupported);
    expect(words(at.publish("q", "two"))).toEqual(["basic.ack 1"]);
  });

  test("a command on a channel that is not open ends the connection with 504", () => {
    const server = new Server();
    const connection = server.connect();
    expect(words(server.send({ do: "basic.qos", connection, channel: 7, prefetch: 1 }))).toEqual([
      "connection.close 504",
    ]);
    const again = server.channel();
    expect(words(server.send({ do: "channel.open", connection: again.connection, channel: again.channel })))
      .toEqual([
        "connection.close 504",
      ]);
    expect(words(again.publish("q", "after the end"))).toEqual([]);
  });
});

describe("bounds", () => {
  test("a full queue drops the next to be served, not the newest", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-max-length": 2 } });
    for (const text of ["1", "2", "3"]) at.publish("q", text);
    expect(server.drain("q")).toEqual(["2", "3"]);
    at.declare("ranked", { arguments: { "x-max-length": 2, "x-max-priority": 2 } });
    for (const [text, priority] of [["low", 0], ["high", 2], ["mid", 1]] as const) {
      at.publish("ranked", text, { properties: { priority } });
    }
    expect(server.drain("ranked")).toEqual(["mid", "low"]);
  });

  test("only ready messages count, by number and by bytes", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-max-length": 1, "x-max-length-bytes": 4 } });
    at.consume("q", "c");
    for (const text of ["aaaaaa", "b", "c"]) {
      expect(words(at.publish("q", text))).toEqual([`basic.deliver ${text}`]);
    }
    at.cancel("c");
    at.publish("q", "12345");
    expect(server.queue("q").ready.size).toBe(0);
    at.publish("q", "1234");
    at.publish("q", "5");
    expect(server.drain("q")).toEqual(["5"]);
  });

  test("a requeue over the bound drops the oldest", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-max-length": 2 } });
    at.publish("q", "1");
    at.get("q");
    at.publish("q", "2");
    at.publish("q", "3");
    at.nack(1);
    expect(server.drain("q")).toEqual(["2", "3"]);
  });
});

describe("routes", () => {
  test("a message reaches each queue once, however many bindings lead there", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    for (const key of ["#", "a.*", "*.b"]) at.bind("q", "amq.topic", key);
    at.publish("a.b", "once", { exchange: "amq.topic" });
    expect(server.drain("q")).toEqual(["once"]);
  });

  test("routes follow the bindings as they change", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("q");
    const publish = () => words(at.publish("k", "x", { exchange: "amq.direct", mandatory: true })).length;
    expect(publish()).toBe(2);
    at.bind("q", "amq.direct", "k");
    expect(publish()).toBe(1);
    at.unbind("q", "amq.direct", "k");
    expect(publish()).toBe(2);
    at.bind("q", "amq.direct", "k");
    at.remove("q");
    expect(publish()).toBe(2);
  });

  test("many different keys do not stay in memory", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.bind("q", "amq.topic", "a.#");
    for (let n = 0; n < 10_000; n++) at.publish(`a.${n}`, "x", { exchange: "amq.topic" });
    expect(server.queue("q").ready.size).toBe(10_000);
  });

  test("P27 topics: the match is that of a plain regular expression over the words", () => {
    const word = fc.constantFrom("a", "b", "", "ab", "*", "#");
    const keyArb = fc.array(fc.constantFrom("a", "b", "", "ab"), { maxLength: 6 }).map((words) =>
      words.join(".")
    );
    const patternArb = fc.array(word, { maxLength: 6 }).map((words) => words.join("."));
    let hits = 0;
    fc.assert(
      fc.property(keyArb, patternArb, (key, pattern) => {
        // Each word is written with a full stop behind it, so that "#" can be any number of those.
        const source = topicWords(pattern).map((one) =>
          one === "#" ? "(?:[^.]*\\.)*" : one === "*" ? "[^.]*\\." : `${one}\\.`
        );
        const wanted = new RegExp(`^${source.join("")}$`).test(
          topicWords(key).map((one) => `${one}.`).join(""),
        );
        if (wanted) hits++;
        expect(topicMatches(topicWords(pattern), topicWords(key))).toBe(wanted);
      }),
      { numRuns: 5000 },
    );
    console.log(`P27: 5000 runs, ${hits} hits`);
    expect(hits).toBeGreaterThan(100);
  });

  test("a pattern of many # is matched in time", () => {
    const pattern = Array.from({ length: 60 }, (_, n) => n % 2 === 0 ? "#" : "a");
    expect(topicMatches(pattern, Array.from({ length: 200 }, () => "a"))).toBe(true);
    expect(topicMatches(pattern, Array.from({ length: 200 }, () => "b"))).toBe(false);
  });
});

test("the delivered message is the object that was published", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q");
  at.publish("q", "same");
  const [event] = at.get("q");
  expect(event?.is === "basic.get-ok" && textOf(event)).toBe("same");
});
