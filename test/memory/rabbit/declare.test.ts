/**
 * Declaring, deleting, binding, and how each of them is refused (R-DEC1, R-AD1, R-PUB1's neighbours).
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { RabbitEvent } from "../../../adapters/memory/rabbit/event.ts";
import { FakeUnsupported } from "../../../adapters/memory/rabbit/fault.ts";
import { Server, words } from "./server.ts";

function closed(code: number): readonly string[] {
  return [`channel.close ${code}`];
}

describe("queues", () => {
  test("an equal redeclaration is answered with the counts", () => {
    const at = new Server().channel();
    expect(words(at.declare("q", { durable: true }))).toEqual(["queue.declare-ok 0/0"]);
    at.publish("q", "one");
    expect(words(at.declare("q", { durable: true }))).toEqual(["queue.declare-ok 1/0"]);
    expect(words(at.declare("q", { passive: true }))).toEqual(["queue.declare-ok 1/0"]);
  });

  test.each([
    ["durable", { durable: false }],
    ["auto_delete", { durable: true, autoDelete: true }],
    ["x-max-priority", { durable: true, arguments: { "x-max-priority": 3 } }],
  ])("a different %s closes the channel with 406", (what, options) => {
    const server = new Server();
    server.channel().declare("q", { durable: true });
    const [event] = server.channel().declare("q", options);
    expect(event).toMatchObject({
      is: "channel.close",
      code: 406,
      text: expect.stringContaining(`arg '${what}'`),
    });
  });

  test("arguments are compared by value, and only the queue type has a default that may be left out", () => {
    const server = new Server();
    server.channel().declare("q", { arguments: { "x-max-priority": 3, "x-queue-type": "classic" } });
    expect(words(server.channel().declare("q", { arguments: { "x-max-priority": 3n } }))).toEqual([
      "queue.declare-ok 0/0",
    ]);
    server.channel().declare("r", { arguments: { "x-queue-mode": "default" } });
    expect(words(server.channel().declare("r"))).toEqual(closed(406));
  });

  test("a passive declaration of what is not there closes with 404", () => {
    expect(words(new Server().channel().declare("q", { passive: true }))).toEqual(closed(404));
  });

  test.each(["declare", "passive", "consume", "get", "purge", "remove", "bind"])(
    "%s of another connection's exclusive queue closes with 405",
    (what) => {
      const server = new Server();
      server.channel().declare("q", { exclusive: true });
      const at = server.channel();
      const ways: Readonly<Record<string, () => readonly RabbitEvent[]>> = {
        declare: () => at.declare("q", { exclusive: true }),
        passive: () => at.declare("q", { passive: true }),
        consume: () => at.consume("q", "c"),
        get: () => at.get("q"),
        purge: () => at.purge("q"),
        remove: () => at.remove("q"),
        bind: () => at.bind("q", "amq.fanout"),
      };
      expect(words(ways[what]?.() ?? [])).toEqual(closed(405));
    },
  );

  test("exclusive is a matter of the owner: declaring one's own as shared, or a shared one as exclusive, closes with 405", () => {
    const server = new Server();
    const connection = server.connect();
    server.channel(connection, 1).declare("mine", { exclusive: true });
    expect(words(server.channel(connection, 2).declare("mine"))).toEqual(closed(405));
    server.channel().declare("shared");
    expect(words(server.channel().declare("shared", { exclusive: true }))).toEqual(closed(405));
  });

  test("ownership comes before the arguments, which a redeclaration may have wrong in any way", () => {
    const server = new Server();
    server.channel().declare("q", { exclusive: true });
    expect(words(server.channel().declare("q", { arguments: { "x-message-ttl": -1 } }))).toEqual(closed(405));
  });

  test("an exclusive queue is never durable", () => {
    const server = new Server();
    const connection = server.connect();
    server.channel(connection, 1).declare("q", { exclusive: true, durable: true });
    expect(server.queue("q").identity.durable).toBe(false);
    expect(words(server.channel(connection, 2).declare("q", { exclusive: true }))).toEqual([
      "queue.declare-ok 0/0",
    ]);
  });

  test("anybody may publish to an exclusive queue", () => {
    const server = new Server();
    server.channel().declare("q", { exclusive: true });
    server.channel().publish("q", "reply");
    expect(server.queue("q").ready.size).toBe(1);
  });

  test("an exclusive queue goes with its connection, not with its channel", () => {
    const server = new Server();
    const connection = server.connect();
    server.channel(connection, 1).declare("q", { exclusive: true });
    server.send({ do: "channel.close", connection, channel: 1 });
    expect(server.rabbit.queues.has("q")).toBe(true);
    server.send({ do: "connection.drop", connection });
    expect(server.rabbit.queues.has("q")).toBe(false);
  });

  test("names that begin with amq. are refused with 403", () => {
    expect(words(new Server().channel().declare("amq.mine"))).toEqual(closed(403));
  });

  test("the empty name gives a queue of the server's naming, which the empty name then means", () => {
    const server = new Server();
    const at = server.channel();
    const [event] = at.declare("", { exclusive: true });
    expect(event).toMatchObject({ is: "queue.declare-ok", queue: expect.stringMatching(/^amq\.gen-/) });
    expect(words(at.purge(""))).toEqual(["queue.purge-ok 0"]);
    expect(words(server.channel().purge(""))).toEqual(closed(404));
  });

  test.each([
    [{ "x-message-ttl": -1 }],
    [{ "x-message-ttl": 315_360_000_001 }],
    [{ "x-message-ttl": "5" }],
    [{ "x-message-ttl": 1.5 }],
    [{ "x-expires": 0 }],
    [{ "x-max-priority": 256 }],
    [{ "x-max-length": -1 }],
    [{ "x-overflow": "sideways" }],
    [{ "x-queue-mode": "sideways" }],
    [{ "x-queue-type": "sideways" }],
    [{ "x-dead-letter-exchange": 5 }],
    [{ "x-dead-letter-routing-key": "without an exchange" }],
  ])("the arguments %j close with 406", (table) => {
    expect(words(new Server().channel().declare("q", { arguments: table }))).toEqual(closed(406));
  });

  test.each([
    [{ "x-queue-type": "quorum" }],
    [{ "x-queue-type": "stream" }],
    [{ "x-anything": 1 }],
  ])("the arguments %j are unknown to the fake, and it says so", (table) => {
    const server = new Server();
    const at = server.channel();
    expect(() => at.declare("q", { arguments: table })).toThrow(FakeUnsupported);
    expect(server.rabbit.queues.has("q")).toBe(false);
    expect(at.isOpen).toBe(true);
  });

  test("deleting gives the number of messages, what is not there is no error", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.publish("q", "one");
    expect(words(at.remove("q"))).toEqual(["queue.delete-ok 1"]);
    expect(words(at.remove("q"))).toEqual(["queue.delete-ok 0"]);
  });

  test("deleting only if unused or empty closes with 406 otherwise", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.publish("q", "one");
    expect(words(server.channel().remove("q", { ifEmpty: true }))).toEqual(closed(406));
    at.consume("q", "c");
    expect(words(server.channel().remove("q", { ifUnused: true }))).toEqual(closed(406));
    expect(words(server.channel().remove("q", { ifEmpty: true }))).toContain("queue.delete-ok 0");
  });

  test("consumers of a deleted queue are told, and what they hold can still be acked", () => {
    const server = new Server();
    const [at, other] = [server.channel(), server.channel()];
    at.declare("q");
    at.publish("q", "held");
    other.consume("q", "c");
    expect(words(at.remove("q"))).toEqual(["basic.cancel c", "queue.delete-ok 0"]);
    expect(words(other.ack(1))).toEqual([]);
    expect(words(other.cancel("c"))).toEqual(["basic.cancel-ok c"]);
    expect(other.isOpen).toBe(true);
  });

  test("an auto-delete queue goes with its last consumer, and never if it had none", () => {
    const server = new Server();
    const [at, other] = [server.channel(), server.channel()];
    at.declare("q", { autoDelete: true });
    at.get("q");
    expect(server.rabbit.queues.has("q")).toBe(true);
    at.consume("q", "a");
    other.consume("q", "b");
    at.cancel("a");
    expect(server.rabbit.queues.has("q")).toBe(true);
    other.close();
    expect(server.rabbit.queues.has("q")).toBe(false);
  });
});

describe("exchanges", () => {
  test("an equal redeclaration is taken, a different one closes with 406", () => {
    const server = new Server();
    const at = server.channel();
    at.exchange("x", "topic", { durable: true });
    expect(words(at.exchange("x", "topic", { durable: true }))).toEqual(["exchange.declare-ok"]);
    expect(words(server.channel().exchange("x", "direct", { durable: true }))).toEqual(closed(406));
    expect(words(server.channel().exchange("x", "topic"))).toEqual(closed(406));
  });

  test("a passive declaration asks whether it is there, whatever else it says", () => {
    const server = new Server();
    server.channel().exchange("x", "topic");
    expect(words(server.channel().exchange("x", "direct", { passive: true }))).toEqual([
      "exchange.declare-ok",
    ]);
    expect(words(server.channel().exchange("y", "direct", { passive: true }))).toEqual(closed(404));
  });

  test("an unknown type ends the connection with 503, a known one that the fake lacks is said to be so", () => {
    const server = new Server();
    expect(words(server.channel().exchange("x", "sideways"))).toEqual(["connection.close 503"]);
    expect(() => server.channel().exchange("x", "headers")).toThrow(FakeUnsupported);
    expect(() => server.channel().exchange("x", "x-delayed-message")).toThrow(FakeUnsupported);
    expect(() => server.channel().exchange("x", "direct", { arguments: { "alternate-exchange": "y" } }))
      .toThrow(
        FakeUnsupported,
      );
  });

  test("the server's own exchanges are there and refused to change", () => {
    const server = new Server();
    expect(words(server.channel().exchange("amq.topic", "topic", { durable: true }))).toEqual([
      "exchange.declare-ok",
    ]);
    expect(words(server.channel().exchange("amq.mine", "direct"))).toEqual(closed(403));
    expect(words(server.channel().exchange("", "direct"))).toEqual(closed(403));
    expect(words(server.channel().removeExchange("amq.topic"))).toEqual(closed(403));
    expect(words(server.channel().removeExchange(""))).toEqual(closed(403));
  });

  test("deleting one takes its bindings along, one in use may be kept", () => {
    const server = new Server();
    const at = server.channel();
    at.exchange("x", "fanout");
    at.declare("q");
    at.bind("q", "x");
    expect(words(server.channel().removeExchange("x", true))).toEqual(closed(406));
    expect(words(at.removeExchange("x"))).toEqual(["exchange.delete-ok"]);
    expect(words(at.removeExchange("x"))).toEqual(["exchange.delete-ok"]);
    expect(server.queue("q").bindings.size).toBe(0);
  });

  test("an auto-delete exchange goes with its last binding", () => {
    const server = new Server();
    const at = server.channel();
    at.exchange("x", "fanout", { autoDelete: true });
    at.declare("q");
    at.declare("r");
    at.bind("q", "x");
    at.bind("r", "x");
    at.unbind("q", "x");
    expect(server.rabbit.exchanges.has("x")).toBe(true);
    at.remove("r");
    expect(server.rabbit.exchanges.has("x")).toBe(false);
  });
});

describe("bindings", () => {
  test("binding what is not there closes with 404, the default exchange with 403", () => {
    const server = new Server();
    server.channel().declare("q");
    expect(words(server.channel().bind("missing", "amq.fanout"))).toEqual(closed(404));
    expect(words(server.channel().bind("q", "missing"))).toEqual(closed(404));
    expect(words(server.channel().bind("q", ""))).toEqual(closed(403));
    server.channel().declare("mine", { exclusive: true });
    expect(words(server.channel().bind("mine", "missing"))).toEqual(closed(404));
  });

  test("binding again changes nothing, unbinding what is not bound is no error", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.bind("q", "amq.direct", "k");
    at.bind("q", "amq.direct", "k");
    at.publish("k", "one", { exchange: "amq.direct" });
    expect(server.queue("q").ready.size).toBe(1);
    expect(words(at.unbind("q", "amq.direct", "other"))).toEqual(["queue.unbind-ok"]);
    expect(words(at.unbind("missing", "amq.direct", "k"))).toEqual(["queue.unbind-ok"]);
    expect(words(at.unbind("q", "missing", "k"))).toEqual(["queue.unbind-ok"]);
    expect(words(at.unbind("q", "amq.direct", "k"))).toEqual(["queue.unbind-ok"]);
    at.publish("k", "two", { exchange: "amq.direct" });
    expect(server.queue("q").ready.size).toBe(1);
  });

  test("an exclusive queue's binding cannot be undone by others, one that is not there can", () => {
    const server = new Server();
    const owner = server.channel();
    owner.declare("q", { exclusive: true });
    owner.bind("q", "amq.direct", "k");
    const at = server.channel();
    expect(words(at.unbind("q", "amq.direct", "other"))).toEqual(["queue.unbind-ok"]);
    expect(words(at.unbind("q", "amq.direct", "k"))).toEqual(closed(405));
  });
});
