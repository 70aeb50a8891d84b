/**
 * Settling and the ends of channels (R-ACK1-3, R-NCK1, R-CLO1, and the order in which RabbitMQ returns many at once).
 *
 * @module
 */
import { expect, test } from "vitest";
import { deliveries, Server, textOf, words } from "./server.ts";

test("tags are per channel", () => {
  const server = new Server();
  const [at, other] = [server.channel(), server.channel()];
  at.declare("q");
  for (const text of ["1", "2", "3"]) at.publish("q", text);
  at.get("q");
  at.get("q");
  other.get("q");
  expect(words(other.ack(2))).toEqual(["channel.close 406"]);
  expect(at.tags).toEqual([1, 2]);
});

test("an unknown tag closes the channel and returns everything in one step, as redelivered", () => {
  const server = new Server();
  const [at, other] = [server.channel(), server.channel()];
  at.declare("q");
  for (const text of ["1", "2", "3"]) at.publish("q", text);
  other.qos(3);
  at.get("q");
  at.get("q");
  at.ack(1);
  other.consume("q", "c");
  const events = at.ack(1);
  expect(words(events)).toEqual(["channel.close 406", "basic.deliver 2"]);
  expect(deliveries(events)[0]).toMatchObject({ redelivered: true, consumerTag: "c" });
});

test("with multiple nothing is settled when the tag itself is unknown", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q");
  for (const text of ["1", "2", "3"]) at.publish("q", text);
  for (let n = 0; n < 3; n++) at.get("q");
  at.ack(2);
  expect(words(at.ack(2, true))).toEqual(["channel.close 406"]);
  expect(server.drain("q")).toEqual(["1", "3"]);
});

test("all of nothing is settled without complaint", () => {
  const at = new Server().channel();
  expect(words(at.ack(0, true))).toEqual([]);
  expect(words(at.nack(0, true))).toEqual([]);
  expect(words(at.ack(0))).toEqual(["channel.close 406"]);
});

test("reject has no multiple, and without requeue the message is gone", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q");
  at.publish("q", "1");
  at.publish("q", "2");
  at.get("q");
  at.get("q");
  at.reject(2);
  expect(at.tags).toEqual([1]);
  at.reject(1, true);
  expect(server.drain("q")).toEqual(["1"]);
});

test("a requeued message comes to the same consumer again before what is newer", () => {
  const at = new Server().channel();
  at.declare("q");
  at.publish("q", "1");
  at.publish("q", "2");
  at.qos(1);
  at.consume("q", "c");
  expect(deliveries(at.nack(1)).map((event) => [textOf(event), event.redelivered])).toEqual([["1", true]]);
});

test("many returned at once come back consumer by consumer, by their tags' names, gets first", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q");
  for (let n = 1; n <= 5; n++) at.publish("q", String(n));
  at.get("q");
  at.qos(2);
  at.consume("q", "zeta");
  at.consume("q", "alpha");
  // 1 by get, 2 3 to zeta, 4 5 to alpha.
  const events = deliveries(at.nack(0, true)).map((event) => `${event.consumerTag} ${textOf(event)}`);
  // The get's goes back and nobody has room; then alpha's two, and alpha takes what stands first; then zeta's.
  expect(events).toEqual(["alpha 1", "alpha 4", "zeta 2", "zeta 3"]);
  expect(server.drain("q")).toEqual(["5"]);
});

test("a closing channel's consumers take nothing back, and a closing connection's neither", () => {
  const server = new Server();
  const connection = server.connect();
  const [one, two] = [server.channel(connection, 1), server.channel(connection, 2)];
  one.declare("q");
  one.publish("q", "1");
  one.consume("q", "a");
  two.consume("q", "b", { noAck: true });
  expect(words(server.send({ do: "connection.drop", connection }))).toEqual([]);
  expect(server.drain("q")).toEqual(["1"]);
});

test("cancel does not requeue, close does", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q");
  at.publish("q", "1");
  at.consume("q", "a");
  at.cancel("a");
  expect(server.queue("q").ready.size).toBe(0);
  expect(words(at.close())).toEqual(["channel.close-ok"]);
  expect(server.queue("q").ready.size).toBe(1);
});

test("what was held of a deleted queue can be acked, returned and closed over", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q");
  for (const text of ["1", "2", "3"]) at.publish("q", text);
  for (let n = 0; n < 3; n++) at.get("q");
  at.remove("q");
  expect(words(at.ack(1))).toEqual([]);
  expect(words(at.nack(2))).toEqual([]);
  expect(words(at.close())).toEqual(["channel.close-ok"]);
  expect(server.rabbit.queues.has("q")).toBe(false);
});

test("a deleted queue has no dead letters, however its messages end", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("grave");
  at.declare("q", {
    arguments: { "x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave" },
  });
  at.publish("q", "rejected");
  at.publish("q", "returned");
  at.get("q");
  at.get("q");
  at.remove("q");
  server.wait(20);
  at.reject(1);
  at.nack(2);
  expect(server.queue("grave").ready.size).toBe(0);
});
