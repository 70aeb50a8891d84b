/**
 * Dead letters: reasons, routes, what the message is told, cycles (R-DLX1-3).
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Message } from "../../../src/broker.ts";
import { Server } from "./server.ts";

function taken(
  server: Server,
  queue: string,
): { readonly message: Message; readonly exchange: string; readonly routingKey: string } {
  const [event] = server.channel().get(queue, true);
  if (event?.is !== "basic.get-ok") throw new Error(`${queue} is empty`);
  return event;
}

const TO_GRAVE = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave" };

test.each(["rejected", "expired", "maxlen"])("a message that is %s says so in its new queue", (reason) => {
  const server = new Server();
  const at = server.channel();
  at.declare("grave");
  const rule = { rejected: {}, expired: { "x-message-ttl": 10 }, maxlen: { "x-max-length": 0 } }[reason];
  at.declare("q", { arguments: { ...rule, ...TO_GRAVE } });
  at.publish("q", "1", { properties: { correlation_id: "c" } });
  if (reason === "rejected") {
    at.get("q");
    at.reject(1);
  }
  server.wait(10);
  const { message, exchange, routingKey } = taken(server, "grave");
  expect([exchange, routingKey]).toEqual(["", "grave"]);
  expect(message.properties).toEqual({ correlation_id: "c" });
  expect(message.headers).toEqual({
    "x-first-death-exchange": "",
    "x-first-death-queue": "q",
    "x-first-death-reason": reason,
    "x-death": [{
      count: 1,
      reason,
      queue: "q",
      time: expect.any(Date),
      exchange: "",
      "routing-keys": ["q"],
    }],
  });
});

test("the message's own time is taken off and remembered", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("grave");
  at.declare("q", { arguments: TO_GRAVE });
  at.publish("q", "1", { properties: { expiration: "10" } });
  server.wait(10);
  const { message } = taken(server, "grave");
  expect(message.properties).toEqual({});
  expect(message.headers["x-death"]).toMatchObject([{ "original-expiration": "10" }]);
});

test("without a dead letter key the first key is kept", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("grave");
  at.bind("grave", "amq.topic", "a.#");
  at.declare("q", { arguments: { "x-dead-letter-exchange": "amq.topic" } });
  at.bind("q", "amq.direct", "a.b");
  at.publish("a.b", "1", { exchange: "amq.direct" });
  at.get("q");
  at.reject(1);
  const { exchange, routingKey, message } = taken(server, "grave");
  expect([exchange, routingKey]).toEqual(["amq.topic", "a.b"]);
  expect(message.headers["x-death"]).toMatchObject([{ exchange: "amq.direct", "routing-keys": ["a.b"] }]);
});

test("a repeat moves to the front and counts up; time, exchange and keys stay those of the first time", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("b", { arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a" } });
  at.declare("a", { arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "b" } });
  const first = server.now;
  at.publish("a", "1");
  for (const queue of ["a", "b", "a", "b", "a"]) {
    const [event] = at.get(queue);
    if (event?.is !== "basic.get-ok") throw new Error(`${queue} is empty`);
    server.wait(5000);
    at.reject(event.deliveryTag);
  }
  const deaths = taken(server, "b").message.headers["x-death"] as readonly Record<string, unknown>[];
  expect(deaths.map(({ queue, count }) => `${queue} ${count}`)).toEqual(["a 3", "b 2"]);
  expect((deaths[0]?.["time"] as Date | undefined)?.getTime()).toBe(first + 5000);
});

test("a dead letter exchange that is not there drops the message", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("q", { arguments: { "x-dead-letter-exchange": "missing" } });
  at.publish("q", "1");
  at.get("q");
  at.reject(1);
  expect(at.isOpen).toBe(true);
  expect(server.queue("q").ready.size).toBe(0);
});

test("a cycle of time alone ends, one with a rejection in it goes on", () => {
  const server = new Server();
  const at = server.channel();
  at.declare("a", {
    arguments: { "x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "b" },
  });
  at.declare("b", {
    arguments: { "x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a" },
  });
  at.publish("a", "1");
  server.wait(10);
  expect(server.queue("b").ready.size).toBe(1);
  server.wait(10);
  expect([server.queue("a").ready.size, server.queue("b").ready.size]).toEqual([0, 0]);
  at.publish("a", "2");
  at.get("a");
  at.reject(1);
  server.wait(10);
  expect(server.queue("a").ready.size).toBe(1);
});

test("a chain of dead letters in one step reaches its end", () => {
  const server = new Server();
  const at = server.channel();
  const count = 400;
  at.declare(`q${count}`);
  for (let n = 0; n < count; n++) {
    at.declare(`q${n}`, {
      arguments: {
        "x-message-ttl": 0,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": `q${n + 1}`,
      },
    });
  }
  at.publish("q0", "1");
  expect(server.queue(`q${count}`).ready.size).toBe(1);
});
