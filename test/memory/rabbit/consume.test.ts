/**
 * Consumers: turns, windows, priorities, exclusiveness, cancels (R-ORD3, R-QOS1-3, R-CAN1-2, R-PRI1).
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { FakeUnsupported } from "../../../adapters/memory/rabbit/fault.ts";
import { deliveries, Server, textOf, words } from "./server.ts";

describe("turns", () => {
  test("equal consumers are served in turn", () => {
    const at = new Server().channel();
    at.declare("q");
    for (const tag of ["a", "b", "c"]) at.consume("q", tag);
    const tags = ["1", "2", "3", "4"].map((text) => deliveries(at.publish("q", text))[0]?.consumerTag);
    expect(tags).toEqual(["a", "b", "c", "a"]);
  });

  test("whoever gets room again stands last", () => {
    const at = new Server().channel();
    at.declare("q");
    at.qos(1);
    at.consume("q", "a");
    at.consume("q", "b");
    at.qos(0);
    at.publish("q", "1");
    at.publish("q", "2");
    at.publish("q", "3");
    at.consume("q", "c");
    // Now c has 3; a and b are out of the turns.
    at.ack(1);
    expect(deliveries(at.publish("q", "4"))[0]?.consumerTag).toBe("c");
    expect(deliveries(at.publish("q", "5"))[0]?.consumerTag).toBe("a");
  });

  test("whoever was out of the turns and is back has one turn, not more", () => {
    const at = new Server().channel();
    at.declare("q");
    at.qos(3);
    at.consume("q", "a");
    for (const text of ["1", "2", "3", "4"]) at.publish("q", text);
    for (const tag of [1, 2, 3, 4]) at.ack(tag);
    at.consume("q", "b");
    const tags = ["5", "6", "7", "8"].map((text) => deliveries(at.publish("q", text))[0]?.consumerTag);
    expect(tags).toEqual(["a", "b", "a", "b"]);
  });

  test("a higher priority is served alone while it has room", () => {
    const at = new Server().channel();
    at.declare("q");
    at.qos(2);
    at.consume("q", "low");
    at.consume("q", "high", { arguments: { "x-priority": 5 } });
    const tags = ["1", "2", "3"].map((text) => deliveries(at.publish("q", text))[0]?.consumerTag);
    expect(tags).toEqual(["high", "high", "low"]);
  });

  test("a cancelled consumer gets nothing more, what it holds stays its channel's", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.consume("q", "a");
    at.publish("q", "1");
    expect(words(at.cancel("a"))).toEqual(["basic.cancel-ok a"]);
    expect(words(at.cancel("a"))).toEqual(["basic.cancel-ok a"]);
    expect(words(at.publish("q", "2"))).toEqual([]);
    expect(server.queue("q").ready.size).toBe(1);
    expect(words(at.ack(1))).toEqual([]);
  });
});

describe("windows", () => {
  test("the prefetch is that of the moment of the consume", () => {
    const at = new Server().channel();
    at.declare("q");
    for (let n = 1; n <= 9; n++) at.publish("q", String(n));
    at.qos(2);
    expect(deliveries(at.consume("q", "a"))).toHaveLength(2);
    at.qos(3);
    expect(deliveries(at.consume("q", "b"))).toHaveLength(3);
    expect(deliveries(at.ack(1))).toHaveLength(1);
  });

  test("get and noAck know no window", () => {
    const at = new Server().channel();
    at.declare("q");
    for (let n = 1; n <= 6; n++) at.publish("q", String(n));
    at.qos(1);
    at.consume("q", "a");
    expect(words(at.get("q"))).toEqual(["basic.get-ok 2"]);
    expect(deliveries(at.consume("q", "b", { noAck: true }))).toHaveLength(4);
  });

  test("a window for the whole channel is refused: RabbitMQ 4.3 does so too", () => {
    const server = new Server();
    const { connection, channel } = server.channel();
    expect(() => server.send({ do: "basic.qos", connection, channel, prefetch: 1, global: true })).toThrow(
      FakeUnsupported,
    );
  });

  test("a tag that is consumed anew gets the room of its forerunner's deliveries", () => {
    const at = new Server().channel();
    at.declare("q");
    at.qos(1);
    at.consume("q", "t");
    for (const text of ["1", "2", "3"]) at.publish("q", text);
    at.cancel("t");
    expect(deliveries(at.consume("q", "t")).map(textOf)).toEqual(["2"]);
    // RabbitMQ keeps credit by tag: the old delivery's ack is the new consumer's credit.
    expect(deliveries(at.ack(1)).map(textOf)).toEqual(["3"]);
  });
});

describe("answers", () => {
  test("the ok comes before what waits, and tags count deliveries of both kinds", () => {
    const at = new Server().channel();
    at.declare("q");
    at.publish("q", "1");
    at.publish("q", "2");
    const events = at.consume("q", "a", { noAck: true });
    expect(words(events)).toEqual(["basic.consume-ok a", "basic.deliver 1", "basic.deliver 2"]);
    at.cancel("a");
    at.publish("q", "3");
    expect(at.get("q")[0]).toMatchObject({ is: "basic.get-ok", deliveryTag: 3, messageCount: 0 });
    expect(words(at.get("q"))).toEqual(["basic.get-empty"]);
  });

  test("a queue that is not there closes with 404, a tag in use ends the connection with 530", () => {
    const server = new Server();
    expect(words(server.channel().consume("q", "a"))).toEqual(["channel.close 404"]);
    const at = server.channel();
    at.declare("q");
    at.consume("q", "a");
    expect(words(at.consume("q", "a"))).toEqual(["connection.close 530"]);
  });

  test("the empty tag asks the server for one", () => {
    const at = new Server().channel();
    at.declare("q");
    expect(at.consume("q", "")[0]).toMatchObject({ consumerTag: expect.stringMatching(/^amq\.ctag-/) });
  });

  test("exclusive consuming and company exclude each other, with 403", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.consume("q", "a");
    expect(words(server.channel().consume("q", "b", { exclusive: true }))).toEqual(["channel.close 403"]);
    at.cancel("a");
    at.consume("q", "a", { exclusive: true });
    expect(words(server.channel().consume("q", "b"))).toEqual(["channel.close 403"]);
    at.close();
    expect(words(server.channel().consume("q", "b"))).toEqual(["basic.consume-ok b"]);
  });

  test("consumer arguments that the fake does not know are said to be so", () => {
    const at = new Server().channel();
    at.declare("q");
    expect(() => at.consume("q", "a", { arguments: { "x-stream-offset": 0 } })).toThrow(FakeUnsupported);
    expect(words(at.consume("q", "a", { arguments: { "x-priority": "high" } }))).toEqual([
      "channel.close 406",
    ]);
  });
});

describe("message priorities", () => {
  test("higher first, then age; none is 0, too much is the most", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q", { arguments: { "x-max-priority": 3 } });
    const sent: [string, unknown][] = [["a", 1], ["b", undefined], ["c", 9], ["d", 3], ["e", 0], ["f", 1]];
    for (const [text, priority] of sent) {
      at.publish("q", text, { properties: priority === undefined ? {} : { priority } });
    }
    expect(server.drain("q")).toEqual(["c", "d", "a", "f", "b", "e"]);
  });

  test("a queue without priorities does not look at them", () => {
    const server = new Server();
    const at = server.channel();
    at.declare("q");
    at.publish("q", "a", { properties: { priority: 0 } });
    at.publish("q", "b", { properties: { priority: 9 } });
    expect(server.drain("q")).toEqual(["a", "b"]);
  });
});
