/** What is done to single frames on their way, frame by frame: a scenario could not tell whether confirms came in another order. */
import { expect, test } from "vitest";
import { confirmFrame, correlationOf, Frames, namedBy, publishTo } from "./amqp-frames.ts";
import { AmqpWay, type WayHost } from "./amqp-way.ts";
import { Proxy, type ProxyLink } from "./proxy.ts";

/** basic.publish to a queue. */
function publish(queue: string): Buffer {
  return publishTo(queue, Buffer.from([1, 0, 1, 0, 0, 0, 9, 0, 60, 0, 40, 0, 0, 0, 0, 1, 0xce]));
}

/** A content header with a content type and a correlation id. */
function header(id: string): Buffer {
  const properties = Buffer.from(`\x04json\x01${id}`);
  const size = 14 + properties.length;
  return Buffer.concat([
    Buffer.from([2, 0, 1, 0, 0, 0, size, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x84, 0]),
    properties,
    Buffer.from([0xce]),
  ]);
}

const ack = (deliveryTag: number): Buffer =>
  confirmFrame({ channel: 1, is: "basic.ack", deliveryTag, multiple: false });

function bench(chances: readonly number[] = []): {
  readonly way: AmqpWay;
  readonly told: string[];
  pass(direction: "up" | "down", ...frames: readonly Uint8Array[]): Buffer;
} {
  const told: string[] = [];
  const left = [...chances];
  const host: WayHost = {
    onTrap: (trap, held) => void told.push(`${trap} ${held.join(",")}`),
    onRefused: (task) => void told.push(`refused ${task}`),
    chance: () => left.shift() ?? 0,
  };
  const proxy = new Proxy({ host: "", port: 0 });
  const link: ProxyLink = { cut: () => void told.push("cut") };
  return {
    way: new AmqpWay(proxy, host),
    told,
    pass: (direction, ...frames) => {
      const passed = proxy.rewrite?.(direction, Buffer.concat(frames), link) ?? new Uint8Array();
      return Buffer.from(passed);
    },
  };
}

test("confirms that are scattered wait for one another, and come in another order, several in one word", () => {
  const { pass, way } = bench([0.9, 0.9, 0, 0, 0.5, 0.1]);
  way.scatters = true;
  pass("up", publish("a"), publish("a"), publish("a"));
  expect(pass("down", ack(1))).toHaveLength(0);
  expect(pass("down", ack(2))).toHaveLength(0);
  const words = new Frames().push(pass("down", ack(3))).map(namedBy);
  expect(words).toEqual([{ tag: 3, multiple: false }, { tag: 1, multiple: true }, {
    tag: 2,
    multiple: true,
  }]);
  way.scatters = false;
  pass("up", publish("a"));
  expect(pass("down", ack(4))).toEqual(ack(4));
});

test("publishes that are refused are led to the full queue, as many as were asked for, wherever chunks end", () => {
  const { pass, told, way } = bench();
  way.refuse(1, "full");
  const whole = Buffer.concat([publish("a"), header("7"), publish("a"), header("8")]);
  const passed = [...whole].map((_, at) => pass("up", whole.subarray(at, at + 1)));
  expect(Buffer.concat(passed)).toEqual(
    Buffer.concat([publish("full"), header("7"), publish("a"), header("8")]),
  );
  expect(told).toEqual(["refused 7"]);
  expect(correlationOf(header("9"))).toBe("9");
});

test("an ack that is lost takes its link with it, and tells what was held", () => {
  const { pass, told, way } = bench();
  const deliver = (tag: number): Buffer =>
    Buffer.from([1, 0, 1, 0, 0, 0, 17, 0, 60, 0, 60, 1, 120, 0, 0, 0, 0, 0, 0, 0, tag, 0, 0, 0, 0xce]);
  for (const tag of [1, 2, 3]) pass("down", deliver(tag), header(String(tag)));
  expect(pass("up", ack(2))).toEqual(ack(2));
  expect(way.held()).toEqual(["1", "3"]);
  way.arm("loseAck");
  expect(pass("up", ack(1))).toHaveLength(0);
  expect(told).toEqual(["cut", "loseAck 1,3"]);
  expect(way.held()).toEqual([]);
});
