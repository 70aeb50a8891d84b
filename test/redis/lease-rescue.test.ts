/** What is put back although something beside it is not as it should be. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { LinkCommands } from "../../adapters/redis/commands.ts";
import { LeaseKeys, tagOf } from "../../adapters/redis/lease/keys.ts";
import { RESTORE } from "../../adapters/redis/lease/scripts.ts";
import { Sweeper } from "../../adapters/redis/lease/sweeper.ts";
import { serverOf } from "../../adapters/redis/server.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Commands } from "../../adapters/redis/client.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { bareClient } from "./setup.ts";

const VISIBILITY = 60_000;

let server: PrivateServer;
let redis: ReturnType<typeof bareClient>;
let commands: LinkCommands;
const keys = new LeaseKeys();

beforeAll(async () => {
  server = await startRedis();
  redis = bareClient(server.url);
  const { subject, own } = serverOf("broker", "test", server.url, {}, systemPlatform.clock);
  const limits = { connectTimeout: 2000, commandTimeout: 2000, longestPause: 50 };
  commands = new LinkCommands({ ...limits, subject, platform: systemPlatform, open: own("test") });
});

afterAll(async () => {
  await commands?.close();
  await redis?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await redis.flushall();
});

/** One that sweeps only when it is told to. */
function sweeper(over: Commands = commands): Sweeper {
  return new Sweeper({
    commands: over,
    keys,
    platform: { ...systemPlatform, clock: { ...systemPlatform.clock, after: () => ({ cancel() {} }) } },
    visibilityTimeout: VISIBILITY,
    consumerTimeout: 1000,
    prepare: () => Promise.resolve(),
  });
}

const message = (body: string): string => JSON.stringify({ body, headers: {}, properties: {} });

/** An entry as it is left behind, `age` ms after its claim. */
async function left(tag: string, entry: string, age: number): Promise<void> {
  await redis.hset("unacked", tag, entry);
  await redis.zadd("unacked_index", (Date.now() - age) / 1000, tag);
}

const bodies = async (list: string): Promise<string[]> =>
  (await redis.lrange(list, 0, -1)).map((text) => (JSON.parse(text) as { body: string }).body);

test("an instant is the same in every way in which Redis writes it", async () => {
  const [short, long] = ["1796000000.123", "1796000000.1229999"];
  expect(Number(long)).toBe(Number(short));
  for (const seen of [short, long]) {
    await redis.hset("unacked", "tag", `[${message("1")},"","q"]`);
    await redis.zadd("unacked_index", short, "tag");
    expect(
      await redis.eval(
        RESTORE.text,
        2,
        "unacked",
        "unacked_index",
        1,
        "tag",
        "1796000000.1231",
        "",
        1,
        "q",
        "",
        "x",
      ),
    )
      .toEqual([0]);
    expect(await redis.eval(RESTORE.text, 2, "unacked", "unacked_index", 1, "tag", seen, "", 1, "q", "", "x"))
      .toEqual([1]);
  }
  expect(await redis.lrange("q", 0, -1)).toEqual(["x", "x"]);
  expect(await redis.exists("unacked", "unacked_index")).toBe(0);
});

test.each([
  ["a key of another type", ["", "a string"]],
  ["a reserved name", ["", "unacked_index"]],
  ["a reserved name that is free", ["", "celeriac:parked:q"]],
  ["an exchange whose bindings are none", ["broken", "key"]],
])("an entry for %s is kept and stops nothing", async (_what, [exchange, key]) => {
  await redis.set("a string", "");
  await redis.set("_kombu.binding.broken", "");
  await left(
    "poison",
    `[${message("poison")},${JSON.stringify(exchange)},${JSON.stringify(key)}]`,
    VISIBILITY + 5000,
  );
  await left("old", `[${message("old")},"","q"]`, VISIBILITY + 9000);
  await left(tagOf("dead", 1), `[${message("poison")},"","a string"]`, 0);
  await left(tagOf("dead", 2), `[${message("orphan")},"","q"]`, 0);
  await redis.zadd("celeriac:fleet", 1, "dead");
  expect(await sweeper().sweep()).toBe(2);
  expect((await bodies("q")).toSorted()).toEqual(["old", "orphan"]);
  expect((await redis.hkeys("unacked")).toSorted()).toEqual([tagOf("dead", 1), "poison"]);
  // It does not stand before the others any more.
  expect(Number(await redis.zscore("unacked_index", "poison"))).toBeGreaterThan(Date.now() / 1000 - 30);
  expect(await redis.exists("celeriac:parked:q")).toBe(0);
});

test("what a dead consumer held is put back though the rest could not be looked at", async () => {
  await left(tagOf("dead", 1), `[${message("orphan")},"","q"]`, 0);
  await redis.zadd("celeriac:fleet", 1, "dead");
  const half: Commands = {
    close: () => Promise.resolve(),
    run: (asked, options) =>
      asked[0]?.[0] === "zrevrangebyscore"
        ? Promise.resolve([new Error("ERR not now")])
        : commands.run(asked, options),
  };
  await expect(sweeper(half).sweep()).rejects.toThrow("ERR not now");
  expect(await bodies("q")).toEqual(["orphan"]);
});

test("large entries are read a few at a time", async () => {
  const body = "x".repeat(1024 * 1024);
  for (let at = 0; at < 9; at++) {
    await left(`tag${at}`, `[${message(body + at)},"","q"]`, VISIBILITY + 9000 - at);
  }
  const read: number[] = [];
  const watched: Commands = {
    close: () => Promise.resolve(),
    run: (asked, options) => {
      if (asked[0]?.[0] === "hmget") read.push(asked[0].length - 2);
      return commands.run(asked, options);
    },
  };
  expect(await sweeper(watched).sweep()).toBe(9);
  expect(read).toEqual([4, 4, 1]);
  expect((await bodies("q")).map((text) => text.slice(-1))).toEqual([..."876543210"]);
});
