/** How much of what was declared a broker remembers, without a server. */
import { expect, test } from "vitest";
import type { Command } from "../../adapters/redis/client.ts";
import { Fanouts } from "../../adapters/redis/fanouts.ts";
import { refusal } from "../../adapters/redis/fault.ts";
import { RedisPublisher } from "../../adapters/redis/publisher.ts";
import { RecentTypes } from "../../adapters/redis/types.ts";
import type { Entity } from "../../src/broker.ts";
import { MOST_NAMES } from "../../src/lib/recent.ts";
import { systemPlatform } from "../../src/lib/platform.ts";

function queue(name: string): Entity[] {
  return [
    { kind: "exchange", name, type: "direct", durable: true, autoDelete: false },
    { kind: "queue", name, durable: true, exclusive: false, autoDelete: false },
    { kind: "binding", queue: name, exchange: name, routingKey: name },
  ];
}

test("bindings that came with messages are forgotten when there are many; those that were asked for stay", async () => {
  const asked: (readonly Command[])[] = [];
  const types = new RecentTypes();
  const publisher = new RedisPublisher({
    commands: {
      close: () => Promise.resolve(),
      run: (commands) => {
        asked.push(commands);
        return Promise.resolve(commands.map(() => 1));
      },
    },
    packer: { prefix: "", db: 0, platform: systemPlatform, features: { maxMessage: 1000 }, types },
    clock: systemPlatform.clock,
    ids: systemPlatform.ids,
    subject: { role: "broker", address: "redis://", secrets: [] },
    publishTimeout: 1000,
  });
  const sets = (): unknown[] => (asked.at(-1) ?? []).map(([, set]) => set);
  types.set("all", "fanout");
  await publisher.declare(queue("own"));
  const many = MOST_NAMES + 2000;
  for (let at = 0; at < many; at += 500) {
    const declare = Array.from({ length: 500 }, (_, more) => queue(`q${at + more}`)).flat();
    await publisher.publish([], { declare });
    expect(sets()).toHaveLength(500);
  }
  publisher.doubt();
  await publisher.declare([]);
  expect(sets()[0]).toBe("_kombu.binding.own");
  expect(sets().length).toBeLessThanOrEqual(MOST_NAMES + 1);
  expect([types.get("all"), types.get("q0"), types.get(`q${many - 1}`)]).toEqual([
    "fanout",
    undefined,
    "direct",
  ]);
  // All stands now, and what is forgotten is declared again by who needs it.
  const before = asked.length;
  await publisher.declare(queue("own"));
  expect(asked).toHaveLength(before);
  await publisher.publish([], { declare: queue("q0") });
  expect(sets()).toEqual(["_kombu.binding.q0"]);
});

test("fanout exchanges, and queues on them, that came with messages are forgotten when there are many; those that were asked for stay", () => {
  const fanouts = new Fanouts();
  const types = new RecentTypes();
  const note = (name: string, kept: boolean): unknown => {
    types.set(name, "fanout");
    return fanouts.note([{ kind: "binding", queue: name, exchange: name, routingKey: "" }], types, kept);
  };
  expect(note("own", true)).toEqual([]);
  expect(note("q0", false)).toEqual([]);
  expect([fanouts.has("q0"), types.get("q0")]).toEqual([true, "fanout"]);
  for (let at = 1; at < MOST_NAMES + 2; at++) note(`q${at}`, false);
  expect(["own", "q0", `q${MOST_NAMES + 1}`].map((name) => fanouts.has(name))).toEqual([true, false, true]);
  expect([types.get("q0"), types.get(`q${MOST_NAMES + 1}`)]).toEqual([undefined, "fanout"]);
});

test("a binding that could not be declared comes with the next call", async () => {
  const asked: (readonly Command[])[] = [];
  let fails = true;
  const publisher = new RedisPublisher({
    commands: {
      close: () => Promise.resolve(),
      run: (commands) => {
        asked.push(commands);
        return fails ? Promise.reject(new Error("no link")) : Promise.resolve(commands.map(() => 1));
      },
    },
    packer: { prefix: "", db: 0, platform: systemPlatform, features: { maxMessage: 1000 }, types: new Map() },
    clock: systemPlatform.clock,
    ids: systemPlatform.ids,
    subject: { role: "broker", address: "redis://", secrets: [] },
    publishTimeout: 1000,
  });
  await expect(publisher.declare(queue("own"))).rejects.toThrow();
  fails = false;
  await publisher.declare([]);
  expect(asked.map((commands) => commands.length)).toEqual([1, 1]);
  await publisher.declare([]);
  expect(asked).toHaveLength(2);
});

test("a binding that the server refuses has no other message refused: any message may name a queue", async () => {
  let forbids = true;
  const publisher = new RedisPublisher({
    commands: {
      close: () => Promise.resolve(),
      run: (commands) =>
        Promise.resolve(
          commands.map((command) =>
            forbids && command.includes("_kombu.binding.evil")
              ? refusal("NOPERM this user has no permissions to access one of the keys")
              : command[0] === "sadd"
              ? 1
              : "1"
          ),
        ),
    },
    packer: { prefix: "", db: 0, platform: systemPlatform, features: { maxMessage: 1000 }, types: new Map() },
    clock: systemPlatform.clock,
    ids: systemPlatform.ids,
    subject: { role: "broker", address: "redis://", secrets: [] },
    publishTimeout: 1000,
  });
  const publish = async (name: string): Promise<unknown> => {
    const message = {
      body: new Uint8Array(),
      contentType: "",
      contentEncoding: "",
      headers: {},
      properties: {},
    };
    const outgoing = { message, to: { exchange: name, routingKey: name }, mustRoute: true };
    const deadline = systemPlatform.clock.now() + 1000;
    return (await publisher.publish([outgoing], { declare: queue(name), deadline })).map(({ is }) => is);
  };
  expect(await publish("evil")).toEqual(["refused"]);
  await expect(publisher.declare(queue("evil"))).rejects.toThrow();
  expect(await publish("good")).toEqual(["confirmed"]);
  publisher.doubt();
  expect(await publish("other")).toEqual(["confirmed"]);
  forbids = false;
  expect(await publish("evil")).toEqual(["confirmed"]);
  // It stood, and is refused after a loss of the link.
  forbids = true;
  publisher.doubt();
  expect(await publish("good")).toEqual(["confirmed"]);
  expect(await publish("good")).toEqual(["confirmed"]);
  expect(await publish("evil")).toEqual(["refused"]);
  expect(await publish("other")).toEqual(["confirmed"]);
});
