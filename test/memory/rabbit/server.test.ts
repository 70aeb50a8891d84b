/**
 * What befalls the server: alarms, restarts, dropped connections, and that equal commands give equal events (R-BLK1, R-DUR1, R-CLO1, P34).
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { Server, textOf, words } from "./server.ts";

describe("alarms", () => {
  test("a connection is not read from its next publish on, but deliveries go on", () => {
    const server = new Server();
    const connection = server.connect();
    const [at, consumer] = [server.channel(connection, 1).confirms(), server.channel()];
    at.declare("q");
    at.publish("q", "1");
    consumer.consume("q", "c");
    server.send({ do: "server.alarm", resource: "memory", on: true });
    // Not a publisher yet: its questions are answered.
    expect(words(at.declare("q"))).toEqual(["queue.declare-ok 0/1"]);
    expect(words(at.publish("q", "2"))).toEqual(["connection.blocked"]);
    expect(words(at.declare("q"))).toEqual([]);
    expect(words(consumer.nack(1))).toEqual(["basic.deliver 1"]);
  });

  test("it is read again, in order, when the last alarm is over", () => {
    const server = new Server();
    const at = server.channel().confirms();
    at.declare("q");
    server.send({ do: "server.alarm", resource: "memory", on: true });
    server.send({ do: "server.alarm", resource: "disk", on: true });
    at.publish("q", "1");
    at.publish("q", "2");
    at.declare("q");
    expect(words(server.send({ do: "server.alarm", resource: "memory", on: false }))).toEqual([]);
    expect(words(server.send({ do: "server.alarm", resource: "disk", on: false }))).toEqual([
      "connection.unblocked",
      "basic.ack 1",
      "basic.ack 2",
      "queue.declare-ok 2/0",
    ]);
  });

  test("the break of a blocked connection loses what was not read", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    server.send({ do: "server.alarm", resource: "memory", on: true });
    at.publish("q", "1");
    server.send({ do: "connection.drop", connection: at.connection });
    server.send({ do: "server.alarm", resource: "memory", on: false });
    expect(server.queue("q").ready.size).toBe(0);
  });
});

test("after a restart durable queues hold their persistent messages, also those that were held, and nothing else", () => {
  const server = new Server();
  const at = server.channel();
  at.exchange("durable", "fanout", { durable: true });
  at.exchange("transient", "fanout");
  at.declare("durable", { durable: true });
  at.declare("transient");
  at.declare("mine", { exclusive: true, durable: true });
  at.bind("durable", "durable");
  for (const queue of ["durable", "transient", "mine"]) {
    at.publish(queue, "held", { properties: { delivery_mode: 2 } });
    at.publish(queue, "persistent", { properties: { delivery_mode: 2 } });
    at.publish(queue, "fleeting", { properties: { delivery_mode: 1 } });
    at.get(queue);
  }
  at.publish("durable", "later", { properties: { delivery_mode: 2 }, notBefore: server.now + 10 });
  expect(words(server.send({ do: "server.restart" }))).toEqual(["connection.close 320"]);
  expect([...server.rabbit.queues.keys()]).toEqual(["durable"]);
  expect(server.rabbit.exchanges.has("transient")).toBe(false);
  server.wait(10);
  const next = server.channel();
  expect(next.get("durable")[0]).toMatchObject({ is: "basic.get-ok", redelivered: true });
  expect(server.drain("durable")).toEqual(["persistent", "later"]);
  next.publish("", "bound", { exchange: "durable" });
  expect(server.drain("durable")).toEqual(["bound"]);
});

test("after a crash what is left stands by publication, each as redelivered, handed out before or not", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q", { durable: true });
  const lasting = { properties: { delivery_mode: 2 } };
  for (const text of ["acked", "held", "returned", "never", "lost"]) at.publish("q", text, lasting);
  at.publish("q", "fleeting", { properties: { delivery_mode: 1 } });
  for (let turn = 0; turn < 3; turn++) at.get("q");
  at.ack(1);
  at.nack(3);
  const lost = new Set(
    [...server.queue("q").ready].map(({ message }) => message).filter((message) =>
      textOf({ message }) === "lost"
    ),
  );
  expect(lost.size).toBe(1);
  // Without a word.
  expect(server.send({ do: "server.crash", lost, unwritten: new Set() })).toEqual([]);
  const next = server.channel();
  const left = [next.get("q"), next.get("q"), next.get("q"), next.get("q")].map(([event]) =>
    event?.is === "basic.get-ok" ? `${textOf(event)} ${event.redelivered}` : event?.is
  );
  expect(left).toEqual(["held true", "returned true", "never true", "basic.get-empty"]);
  next.publish("q", "new", lasting);
  expect(next.get("q")).toMatchObject([{ is: "basic.get-ok", redelivered: false }]);
});

test("a crash may undo what was settled in the last fifth of a second: it is there again, in its place", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q", { durable: true });
  at.declare("fleeting");
  const lasting = { properties: { delivery_mode: 2 } };
  for (const text of ["acked", "early", "rejected", "held", "transient"]) {
    at.publish("q", text, text === "transient" ? {} : lasting);
  }
  at.publish("fleeting", "gone", lasting);
  for (let turn = 0; turn < 5; turn++) at.get("q");
  at.get("fleeting");
  at.ack(2);
  server.wait(200);
  at.ack(1);
  at.nack(3, false, false);
  at.ack(5);
  at.ack(6);
  const unwritten = [...server.queue("q").unwritten()].map(({ entry }) => entry.message);
  expect(unwritten.map((message) => textOf({ message }))).toEqual(["acked", "rejected"]);
  expect([...server.queue("fleeting").unwritten()]).toEqual([]);
  server.send({ do: "server.crash", lost: new Set(), unwritten: new Set(unwritten) });
  expect(server.queue("q").tally).toMatchObject({ acked: 2, rejected: 0 });
  expect(server.queue("q").unacked).toBe(0);
  // Nothing is undone twice.
  expect([...server.queue("q").unwritten()]).toEqual([]);
  expect(server.drain("q")).toEqual(["acked", "rejected", "held"]);
});

test("opening a connection twice and closing one that is not there do nothing", () => {
  const server = new Server();
  const connection = server.connect();
  expect(server.send({ do: "connection.open", connection })).toEqual([]);
  expect(words(server.send({ do: "connection.close", connection }))).toEqual(["connection.close-ok"]);
  expect(server.send({ do: "connection.close", connection })).toEqual([]);
});

test("P34: the same commands at the same instants give the same events", () => {
  const run = () => {
    const server = new Server();
    const [at, other] = [server.channel(), server.channel()];
    at.declare("", { exclusive: true });
    at.declare("q", { arguments: { "x-message-ttl": 40, "x-max-priority": 3 } });
    other.qos(2);
    other.consume("q", "");
    for (let n = 0; n < 50; n++) {
      at.publish("q", String(n), { properties: { priority: n % 5 } });
      if (n % 3 === 0 && other.tags.length > 0) other.nack(other.tags[0] ?? 0, n % 2 === 0, n % 4 !== 0);
      server.wait(n % 7);
    }
    return server.history;
  };
  expect(run()).toEqual(run());
});
