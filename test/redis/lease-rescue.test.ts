/** What is put back although something beside it is not as it should be. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LinkCommands } from "../../adapters/redis/commands.ts";
import { LeaseKeys, tagOf } from "../../adapters/redis/lease/keys.ts";
import { RESTORE } from "../../adapters/redis/lease/scripts.ts";
import { Settler } from "../../adapters/redis/lease/settler.ts";
import { LeaseStore } from "../../adapters/redis/lease/store.ts";
import { Sweeper } from "../../adapters/redis/lease/sweeper.ts";
import { serverOf } from "../../adapters/redis/server.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Command, Commands } from "../../adapters/redis/client.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { bareClient } from "./setup.ts";

const VISIBILITY = 60_000;

let server: PrivateServer;
let redis: ReturnType<typeof bareClient>;
let commands: LinkCommands;
let subject: ReturnType<typeof serverOf>["subject"];
const keys = new LeaseKeys();

beforeAll(async () => {
  server = await startRedis();
  redis = bareClient(server.url);
  const { own, ...of } = serverOf("broker", "test", server.url, {}, systemPlatform.clock);
  subject = of.subject;
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

test("a sweep that is stopped asks nothing more: the link may be closed by then, and would be opened again", async () => {
  await redis.zadd(keys.fleet, 1, "gone");
  const asked: string[] = [];
  const own = sweeper({
    run: async ([command, ...rest], options) => {
      const answers = await commands.run([command as Command, ...rest], options);
      asked.push(String(command?.[0]));
      if (command?.[0] === "zscan") own.stop();
      return answers;
    },
    close: () => Promise.resolve(),
  });
  await expect(own.sweep()).rejects.toMatchObject({ code: "consumer-stopped" });
  expect(asked).toEqual(["zrevrangebyscore", "zrange", "exists", "zscan"]);
  expect(await redis.zcard(keys.fleet)).toBe(1);
});

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

describe("a settlement that is refused", () => {
  const CONSUMER = "one";

  /** The settling half of a consumer, and what it has claimed. */
  async function settler(texts: readonly string[], over: Commands = commands) {
    const parts = { commands: over, keys, subject, clock: systemPlatform.clock };
    const store = new LeaseStore(parts, { id: CONSUMER, consumerTimeout: 60_000 });
    await redis.lpush("q", ...texts.map((text) => message(text)));
    const { claimed } = await store.claim([{ queue: "q", most: texts.length }]);
    return { claimed, settler: new Settler(systemPlatform, () => store) };
  }

  const fates = async (settled: readonly Promise<unknown>[]): Promise<unknown[]> =>
    (await Promise.allSettled(settled)).map((each) =>
      each.status === "fulfilled" ? each.value : (each.reason as { code?: string }).code
    );

  test("takes none of its tick along, and its message is kept", async () => {
    const { claimed, settler: own } = await settler(["a", "b", "c", "d"]);
    // Somebody put a text where the queue's list was.
    await redis.set("q", "a text");
    const until = Date.now() + 60_000;
    const hows = [{ as: "ack" }, { as: "back" }, { as: "park", until, returned: false }, {
      as: "ack",
    }] as const;
    expect(await fates(claimed.map((one, at) => own.settle({ claimed: one, how: hows[at] ?? hows[0] }))))
      .toEqual(["settled", "broker-refused", "settled", "settled"]);
    const left = [tagOf(CONSUMER, 2), `celeriac:park:0:${tagOf(CONSUMER, 3)}`];
    expect((await redis.hkeys("unacked")).toSorted()).toEqual(left.toSorted());
    expect((await redis.zrange("unacked_index", "0", "-1")).toSorted()).toEqual(left.toSorted());
    // Once the queue is one again, it is put back as what a dead worker leaves behind is.
    await redis.del("q");
    await redis.zadd("unacked_index", 1, tagOf(CONSUMER, 2));
    expect(await sweeper().sweep()).toBe(1);
    expect(await bodies("q")).toEqual(["b"]);
  });

  test("with its whole script lets the others of its tick through, those that are given back in their order", async () => {
    const asked: number[] = [];
    const culprit = tagOf(CONSUMER, 6);
    const { claimed, settler: own } = await settler(Array.from({ length: 16 }, (_, at) => `${at}`), {
      close: () => Promise.resolve(),
      run: (all, options) => {
        asked.push(1);
        return all[0]?.includes(culprit) === true
          ? Promise.resolve([
            Object.assign(new Error("ERR max request size exceeded"), { name: "ReplyError" }),
          ])
          : commands.run(all, options);
      },
    });
    asked.length = 0;
    await own.giveBack(claimed);
    const all = Array.from({ length: 16 }, (_, at) => `${at}`);
    expect((await bodies("q")).toReversed()).toEqual(all.filter((text) => text !== "5"));
    expect(await redis.hkeys("unacked")).toEqual([culprit]);
    expect(asked.length).toBeLessThan(all.length);
  });

  test("for the rights of its user is refused once for all of them", async () => {
    let asked = 0;
    const barred: Commands = {
      close: () => Promise.resolve(),
      run: (all, options) => {
        if (!claiming) asked++;
        if (claiming) return commands.run(all, options);
        const refused = new Error("NOPERM this user has no permissions to run the 'evalsha' command");
        refused.name = "ReplyError";
        return Promise.resolve([refused]);
      },
    };
    let claiming = true;
    const { claimed, settler: own } = await settler(["a", "b"], barred);
    claiming = false;
    expect(await fates(claimed.map((one) => own.settle({ claimed: one, how: { as: "ack" } }))))
      .toEqual(["broker-credentials-refused", "broker-credentials-refused"]);
    expect(asked).toBe(1);
  });
});
