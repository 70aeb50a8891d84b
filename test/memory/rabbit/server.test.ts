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

/** What this queue settled and did not write down. */
function unwritten(server: Server, queue: string): readonly string[] {
  return [...server.queue(queue).unwritten()].map(({ entry }) => textOf(entry));
}

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
  expect(server.send({ do: "server.crash", lost, unwritten: new Map() })).toEqual([]);
  const next = server.channel();
  const left = [next.get("q"), next.get("q"), next.get("q"), next.get("q")].map(([event]) =>
    event?.is === "basic.get-ok" ? `${textOf(event)} ${event.redelivered}` : event?.is
  );
  expect(left).toEqual(["held true", "returned true", "never true", "basic.get-empty"]);
  next.publish("q", "new", lasting);
  expect(next.get("q")).toMatchObject([{ is: "basic.get-ok", redelivered: false }]);
});

test("a crash may undo what a queue had not written down: it is there again, in its place", () => {
  const server = new Server();
  server.rabbit.remembers = true;
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
  expect(unwritten(server, "q")).toEqual(["acked", "rejected"]);
  expect(unwritten(server, "fleeting")).toEqual([]);
  server.send({ do: "server.crash", lost: new Set(), unwritten: new Map([["q", 2], ["fleeting", 1]]) });
  expect(server.queue("q").tally).toMatchObject({ acked: 2, rejected: 0 });
  expect(server.queue("q").unacked).toBe(0);
  // Nothing is undone twice.
  expect(unwritten(server, "q")).toEqual([]);
  expect(server.drain("q")).toEqual(["acked", "rejected", "held"]);
});

test("a queue writes settlements down when it has rested, or takes a publish that waits for its confirm; acks alone keep it from both", () => {
  const server = new Server();
  server.rabbit.remembers = true;
  const [at, careful] = [server.channel(), server.channel().confirms()];
  for (const queue of ["q", "other"]) at.declare(queue, { durable: true });
  const lasting = { properties: { delivery_mode: 2 } };
  const numbers = Array.from({ length: 20 }, (_, number) => String(number));
  for (const text of numbers) at.publish("q", text, lasting);
  for (let tag = 1; tag <= 10; tag++) at.get("q");
  server.wait(1000);
  for (let tag = 1; tag <= 10; tag++) {
    at.ack(tag);
    server.wait(199);
  }
  expect(unwritten(server, "q")).toEqual(numbers.slice(0, 10));
  // Nobody waits for these, or not for the disk, or not in this queue.
  at.publish("q", "careless", lasting);
  careful.publish("q", "transient");
  careful.publish("other", "elsewhere", lasting);
  expect(unwritten(server, "q")).toEqual(numbers.slice(0, 10));
  careful.publish("q", "confirmed", lasting);
  expect(unwritten(server, "q")).toEqual([]);
  at.get("q");
  at.ack(11);
  expect(unwritten(server, "q")).toEqual(["10"]);
  server.wait(200);
  expect(unwritten(server, "q")).toEqual([]);
});

test("who is not asked to remember settled messages lets them go at once; who is, keeps a thousand of each queue", () => {
  for (const remembers of [false, true]) {
    const server = new Server();
    server.rabbit.remembers = remembers;
    const at = server.channel();
    at.declare("q", { durable: true });
    for (let tag = 1; tag <= 1100; tag++) {
      at.publish("q", String(tag), { properties: { delivery_mode: 2 } });
      at.get("q");
      at.ack(tag);
    }
    expect(unwritten(server, "q").length).toBe(remembers ? 1000 : 0);
    server.send({ do: "server.crash", lost: new Set(), unwritten: new Map([["q", 1000]]) });
    expect(server.queue("q").ready.size).toBe(remembers ? 1000 : 0);
  }
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
