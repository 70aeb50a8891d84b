import { expect, inject, test } from "vitest";
import { createGateway } from "../../src/gateway/mod.ts";
import { BASE64, fresh, opened, TOKEN } from "./setup.ts";

test("a command in the body, as a JSON array", async () => {
  await using gateway = opened();
  const key = fresh();
  const set = await gateway.ask("/", { body: JSON.stringify(["SET", key, "bar", "EX", 100]) });
  expect([set.status, set.text]).toEqual([200, '{"result":"OK"}']);
  expect(set.headers.get("content-type")).toBe("application/json");
  expect(await gateway.run("get", key)).toEqual({ result: "bar" });
  expect(await gateway.run("ttl", key)).toEqual({ result: 100 });
  expect(await gateway.run("get", fresh())).toEqual({ result: null });
  expect(await gateway.run("mget", key, fresh(), key)).toEqual({ result: ["bar", null, "bar"] });
  expect(await gateway.run("del", key)).toEqual({ result: 1 });
});

test("numbers and booleans become arguments as they were written", async () => {
  await using gateway = opened();
  const written = ["9223372036854775807", "-9223372036854775808", "1.0", "1e3", "-0", "0.1", "true", "false"];
  for (const text of written) {
    expect((await gateway.ask("/", { body: `["ECHO",${text}]` })).json).toEqual({ result: text });
  }
  // Digits inside of a string are none of our numbers, escaped quotes do not end it.
  const tricky = String.raw`["ECHO","a\"1,2\\" ]`;
  expect((await gateway.ask("/", { body: tricky })).json).toEqual({ result: 'a"1,2\\' });
  expect((await gateway.ask("/pipeline", { body: String.raw`[["ECHO","\\\"7\\"],["ECHO",7.50]]` })).json)
    .toEqual([{ result: '\\"7\\' }, { result: "7.50" }]);
});

test("integers keep all their digits in the answer", async () => {
  await using gateway = opened();
  const key = fresh();
  await gateway.run("set", key, "9223372036854775806");
  expect((await gateway.ask(`/incr/${key}`)).text).toBe('{"result":9223372036854775807}');
  expect((await gateway.ask(`/incr/${key}`)).text).toBe(
    '{"error":"ERR increment or decrement would overflow"}',
  );
  expect((await gateway.ask("/", { body: '["EVAL","return {-9007199254740993,{1,false}}",0]' })).text)
    .toBe('{"result":[-9007199254740992,[1,null]]}');
  await gateway.run("del", key);
});

test("replies have the shapes of RESP2: maps are flat arrays, doubles are strings", async () => {
  await using gateway = opened();
  const [hash, zset, stream] = [fresh(), fresh(), fresh()];
  await gateway.run("hset", hash, "a", 1, "b", 2);
  expect(await gateway.run("hgetall", hash)).toEqual({ result: ["a", "1", "b", "2"] });
  expect(await gateway.run("HGETALL", hash)).toEqual({ result: ["a", "1", "b", "2"] });
  await gateway.run("zadd", zset, 1.5, "x", "inf", "y");
  expect(await gateway.run("zrange", zset, 0, -1, "withscores")).toEqual({
    result: ["x", "1.5", "y", "inf"],
  });
  expect(await gateway.run("zscore", zset, "x")).toEqual({ result: "1.5" });
  expect(await gateway.run("hrandfield", hash, 2, "withvalues")).toEqual({ result: expect.any(Array) });
  await gateway.run("xadd", stream, "1-1", "f", "v");
  expect(await gateway.run("xread", "streams", stream, 0)).toEqual({
    result: [[stream, [["1-1", ["f", "v"]]]]],
  });
  expect(await gateway.run("mset", `${hash}2`, "v")).toEqual({ result: "OK" });
  expect(await gateway.run("mset", "alone")).toEqual({ error: expect.stringContaining("wrong number") });
  await gateway.run("del", hash, `${hash}2`, zset, stream);
});

test("the path style: arguments by slashes, a body appended, parameters behind it", async () => {
  await using gateway = opened();
  const key = fresh();
  const get = async (): Promise<unknown> => (await gateway.ask(`/get/${key}`, { method: "GET" })).json;
  expect((await gateway.ask(`/set/${key}/bar/EX/100`, { method: "GET" })).json).toEqual({ result: "OK" });
  expect(await get()).toEqual({ result: "bar" });
  expect((await gateway.ask(`/set/${key}`, { body: "$VALUE / ? &", method: "PUT" })).json).toEqual({
    result: "OK",
  });
  expect(await get()).toEqual({ result: "$VALUE / ? &" });
  expect((await gateway.ask(`/set/${key}?EX=100&XX`, { body: "third" })).json).toEqual({ result: "OK" });
  expect([await get(), await gateway.run("ttl", key)]).toEqual([{ result: "third" }, { result: 100 }]);
  expect((await gateway.ask(`/set/${key}?NX=&EX=5`, { body: "fourth" })).json).toEqual({ result: null });
  expect((await gateway.ask(`/set/${key}/a%2Fb%20%25+c%C3%A9`)).json).toEqual({ result: "OK" });
  expect(await get()).toEqual({ result: "a/b %+cé" });
  expect((await gateway.ask(`/set/${key}/`)).json).toEqual({ result: "OK" });
  expect(await get()).toEqual({ result: "" });
  expect((await gateway.ask(`/del/${key}`, { method: "PUT" })).json).toEqual({ result: 1 });
  const head = await gateway.ask("/ping", { method: "HEAD" });
  expect([head.status, head.text]).toEqual([200, ""]);
});

test("the token comes as bearer or as the parameter _token, which is no argument", async () => {
  await using gateway = opened();
  const refused = { error: "WRONGPASS invalid or missing auth token" };
  const status = async (path: string, token: string | null, headers = {}): Promise<unknown[]> => {
    const { status, json } = await gateway.ask(path, { method: "GET", token, headers });
    return [status, json];
  };
  expect(await status("/ping", TOKEN)).toEqual([200, { result: "PONG" }]);
  expect(await status(`/ping?_token=${TOKEN}`, null)).toEqual([200, { result: "PONG" }]);
  expect(await status(`/echo/x?_token=${TOKEN}`, null)).toEqual([200, { result: "x" }]);
  expect(await status("/ping", null, { authorization: `bearer ${TOKEN}` })).toEqual([200, {
    result: "PONG",
  }]);
  for (const token of ["wrong", `${TOKEN}x`, TOKEN.slice(0, -1), TOKEN.toUpperCase()]) {
    expect(await status("/ping", token)).toEqual([401, refused]);
    expect(await status(`/ping?_token=${token}`, null)).toEqual([401, refused]);
  }
  expect(await status("/ping", null)).toEqual([401, refused]);
  expect(await status("/ping", null, { authorization: TOKEN })).toEqual([401, refused]);
  expect(await status("/ping", null, { authorization: `Basic ${TOKEN}` })).toEqual([401, refused]);
  expect(await status(`/ping?_token=${TOKEN}`, "wrong")).toEqual([401, refused]);
  expect(await status("/subscribe/a", "wrong")).toEqual([401, refused]);
});

test("a map of tokens opens a Redis each", async () => {
  const url = new URL(inject("redis"));
  url.pathname = "/7";
  const redis = { one: inject("redis"), seven: url.href };
  await using gateway = createGateway({ redis });
  const key = fresh();
  const ask = async (token: string, path: string): Promise<unknown> =>
    await (await gateway.fetch(
      new Request(`http://gateway.test${path}`, { headers: { authorization: `Bearer ${token}` } }),
    )).json();
  expect(await ask("seven", `/set/${key}/here`)).toEqual({ result: "OK" });
  expect(await ask("one", `/get/${key}`)).toEqual({ result: null });
  expect(await ask("seven", `/getdel/${key}`)).toEqual({ result: "here" });
});

test("other methods are 405, with or without a token", async () => {
  await using gateway = opened();
  for (const method of ["DELETE", "PATCH", "OPTIONS"]) {
    for (const token of [TOKEN, null]) {
      const { status, json } = await gateway.ask("/ping", { method, token });
      expect([method, status, json]).toEqual([method, 405, { error: expect.stringMatching(/^ERR /) }]);
    }
  }
});

test("what Redis refuses is 400 with its words, and an unknown command too", async () => {
  await using gateway = opened();
  const cases = [
    [["GET"], "ERR wrong number of arguments for 'get' command"],
    [["NOSUCH", "x"], expect.stringMatching(/^ERR unknown command/)],
    [["INCRBY", fresh(), "x"], "ERR value is not an integer or out of range"],
    [["EVAL", "return redis.error_reply('MINE of mine')", 0], "MINE of mine"],
    [["EVALSHA", "0".repeat(40), 0], "NOSCRIPT No matching script. Please use EVAL."],
  ];
  for (const [command, error] of cases) {
    const { status, json } = await gateway.ask("/", { body: JSON.stringify(command) });
    expect([status, json]).toEqual([400, { error }]);
  }
});

test("a pipeline answers in order, errors in their places", async () => {
  await using gateway = opened();
  const key = fresh();
  const rows = [
    ["SET", key, "valuex"],
    ["BLPOP", key, 0],
    ["SETEX", `${key}2`, 13, "valuez"],
    ["INCR", key],
    ["SELECT", 1],
    ["GET", key],
    ["DEL", key, `${key}2`],
  ];
  const { status, json } = await gateway.ask("/pipeline", { body: JSON.stringify(rows) });
  expect(status).toBe(200);
  expect(json).toEqual([
    { result: "OK" },
    { error: "ERR Command is not available: 'BLPOP'" },
    { result: "OK" },
    { error: "ERR value is not an integer or out of range" },
    { error: 'ERR Command "SELECT" is not allowed in REST or it has a special context path' },
    { result: "valuex" },
    { result: 2 },
  ]);
  expect((await gateway.ask("/pipeline", { body: JSON.stringify([["BLPOP", "x", 0]]) })).json).toEqual([
    { error: "ERR Command is not available: 'BLPOP'" },
  ]);
});

test("a transaction: all or, where a command cannot be, nothing", async () => {
  await using gateway = opened();
  const key = fresh();
  const tx = async (...rows: unknown[]): Promise<unknown[]> => {
    const { status, json } = await gateway.ask("/multi-exec", { body: JSON.stringify(rows) });
    return [status, json];
  };
  expect(await tx(["SET", key, "a"], ["INCR", key], ["GET", key])).toEqual([200, [
    { result: "OK" },
    { error: "ERR value is not an integer or out of range" },
    { result: "a" },
  ]]);
  expect(await tx(["SET", key, "b"], ["GET"])).toEqual([400, {
    error: "ERR wrong number of arguments for 'get' command",
  }]);
  expect(await tx(["SET", key, "b"], ["BRPOP", key, 0])).toEqual([400, {
    error: "ERR Command is not available: 'BRPOP'",
  }]);
  expect(await tx(["SET", key, "b"], ["EXEC"])).toEqual([400, {
    error: expect.stringContaining("not allowed"),
  }]);
  expect(await gateway.run("getdel", key)).toEqual({ result: "a" });
});

test("transactions and commands of others do not mix", async () => {
  await using gateway = opened();
  const key = fresh();
  const rows = Array.from({ length: 20 }, () => ["INCR", key]);
  const all = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
    const command = index % 2 === 0 ? "/multi-exec" : "/pipeline";
    return (await gateway.ask(command, { body: JSON.stringify(rows) })).json as { result: number }[];
  }));
  const transactions = all.filter((_, index) => index % 2 === 0);
  for (const replies of transactions) {
    const first = replies[0]?.result ?? 0;
    expect(replies.map(({ result }) => result - first)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
  }
  expect(await gateway.run("getdel", key)).toEqual({ result: "400" });
});

test("base64: every string but a lone OK, at every depth", async () => {
  await using gateway = opened();
  const key = fresh();
  const ask = async (...command: unknown[]): Promise<unknown> =>
    (await gateway.ask("/", { body: JSON.stringify(command), headers: BASE64 })).json;
  expect(await ask("SET", key, "OK")).toEqual({ result: "OK" });
  expect(await ask("GET", key)).toEqual({ result: "OK" });
  expect(await ask("PING")).toEqual({ result: btoa("PONG") });
  expect(await ask("TYPE", key)).toEqual({ result: btoa("string") });
  expect(await ask("EVAL", "return {'a', {'OK', 7, false}, redis.status_reply('OK')}", 0)).toEqual({
    result: [btoa("a"), [btoa("OK"), 7, null], btoa("OK")],
  });
  expect(await ask("GETDEL", key)).toEqual({ result: "OK" });
  expect(await ask("ECHO", "")).toEqual({ result: "" });
  expect(await ask("GET")).toEqual({ error: "ERR wrong number of arguments for 'get' command" });
  const rows = JSON.stringify([["ECHO", "b"], ["PING"], ["GET"]]);
  for (const [path, answer] of [["/pipeline", 200], ["/multi-exec", 400]] as const) {
    expect((await gateway.ask(path, { body: rows, headers: BASE64 })).status).toBe(answer);
  }
  expect((await gateway.ask("/pipeline", { body: rows, headers: BASE64 })).json).toEqual([
    { result: btoa("b") },
    { result: btoa("PONG") },
    { error: "ERR wrong number of arguments for 'get' command" },
  ]);
});

test("each answer has a sync token of its own", async () => {
  await using gateway = opened();
  const seen = new Set<string | null>();
  for (const path of ["/ping", "/ping", "/get/x"]) {
    seen.add((await gateway.ask(path)).headers.get("upstash-sync-token"));
  }
  expect(seen.size).toBe(3);
  expect(seen).not.toContain(null);
});

test("what is not served says so: replies in RESP2", async () => {
  await using gateway = opened();
  const resp = await gateway.ask("/ping", { headers: { "upstash-response-format": "resp2" } });
  expect([resp.status, resp.json]).toEqual([400, { error: expect.stringMatching(/format/) }]);
  expect((await gateway.ask("/ping", { headers: { "upstash-response-format": "json" } })).status).toBe(200);
});

test("commands that block, change the connection or rule the server are refused, however they are written", async () => {
  await using gateway = opened();
  const connection =
    "ASKING AUTH CLIENT DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE PUNSUBSCRIBE QUIT READONLY READWRITE RESET SELECT " +
    "SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE UNWATCH WATCH";
  const others =
    "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF ACL BGREWRITEAOF BGSAVE CLUSTER CONFIG DEBUG " +
    "FAILOVER LATENCY MIGRATE MODULE COMMANDLOG HOTKEYS SENTINEL FT.CONFIG POST PFDEBUG PFSELFTEST PSYNC REPLCONF REPLICAOF ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SWAPDB SYNC";
  for (const [names, text] of [[connection, /not allowed in REST/], [others, /not available/]] as const) {
    for (const name of names.split(" ")) {
      for (const form of [name, name.toLowerCase()]) {
        const { status, json } = await gateway.ask("/", { body: JSON.stringify([form, "a", 1]) });
        expect([form, status, json]).toEqual([form, 400, { error: expect.stringMatching(text) }]);
      }
      if (!["SUBSCRIBE", "PSUBSCRIBE"].includes(name)) {
        expect((await gateway.ask(`/${name}/a`)).status).toBe(400);
      }
    }
  }
});

test("every command of this Redis that blocks or needs a connection of its own is refused", async () => {
  await using gateway = opened();
  const { result } = await gateway.run("COMMAND") as { result: [string, number, string[]][] };
  expect(result.length).toBeGreaterThan(200);
  const passed: string[] = [];
  for (const [name, , flags] of result) {
    if (!flags.some((flag) => ["blocking", "pubsub", "no_multi", "no_auth"].includes(flag))) continue;
    const { json } = await gateway.ask("/", { body: JSON.stringify([name]) });
    if (!/not available|not allowed in REST/.test((json as { error?: string }).error ?? "")) {
      passed.push(name);
    }
  }
  // XREAD and XREADGROUP are refused with BLOCK only; publishing holds nothing.
  expect(passed.sort()).toEqual(["publish", "spublish", "xread", "xreadgroup"]);
});

test("of commands with parts only those pass that rule nothing", async () => {
  await using gateway = opened();
  const parts: Readonly<Record<string, string>> = {
    SCRIPT: "EXISTS FLUSH LOAD",
    FUNCTION: "DELETE FLUSH LIST LOAD STATS",
    MEMORY: "USAGE",
    OBJECT: "ENCODING FREQ IDLETIME REFCOUNT",
  };
  const refused = { error: expect.stringMatching(/not available/) };
  const key = fresh();
  for (
    const command of [
      ["SCRIPT"],
      ["SCRIPT", "DEBUG", "YES"],
      ["script", "debug", "sync"],
      ["SCRIPT", "DEBUG", "NO"],
      ["SCRIPT", "KILL"],
      ["SCRIPT", "HELP"],
      ["SCRIPT", "DEBUG ", "YES"],
      ["SCRIPT", "", "YES"],
      ["FUNCTION", "KILL"],
      ["FUNCTION"],
      ["MEMORY", "PURGE"],
      ["MEMORY", "DOCTOR"],
      ["MEMORY", "MALLOC-STATS"],
      ["OBJECT", "HELP"],
    ]
  ) {
    expect([command, await gateway.run(...command)]).toEqual([command, refused]);
    const body = JSON.stringify([command]);
    expect((await gateway.ask("/pipeline", { body })).json).toEqual([refused]);
    expect((await gateway.ask("/multi-exec", { body })).json).toEqual(refused);
  }
  expect((await gateway.ask("/script/deb%75g/yes")).json).toEqual(refused);
  expect((await gateway.ask("/script", { body: "debug" })).json).toEqual(refused);
  expect((await gateway.ask("/script?debug=yes")).json).toEqual(refused);
  // The connection is as good as before: what runs next is no debugging session.
  expect(await gateway.run("EVAL", "return 1", 0)).toEqual({ result: 1 });
  expect(await gateway.run("GET", key)).toEqual({ result: null });
  for (const [name, words] of Object.entries(parts)) {
    for (const word of words.split(" ")) {
      for (const form of [word, word.toLowerCase()]) {
        // Arguments that change nothing: the answer, or Redis' own complaint.
        expect([name, form, await gateway.run(name, form, ...word === "FLUSH" ? ["NEVER"] : [])]).not.toEqual(
          [name, form, refused],
        );
      }
    }
  }
  expect(await gateway.run("SET", key, "v")).toEqual({ result: "OK" });
  expect(await gateway.run("OBJECT", "ENCODING", key)).toEqual({ result: "embstr" });
  expect(await gateway.run("MEMORY", "USAGE", key)).toEqual({ result: expect.any(Number) });
  expect(await gateway.run("SCRIPT", "EXISTS", "0".repeat(40))).toEqual({ result: [0] });
  await gateway.run("DEL", key);
});

test("no part of a command passes that this Redis marks for administrators or keeps from scripts, but what scripts are made of", async () => {
  await using gateway = opened();
  const { result } = await gateway.run("COMMAND") as { result: [string, number, string[], ...unknown[]][] };
  type Part = [string, number, string[]];
  const passed: string[] = [];
  let met = 0;
  for (const [, , , , , , , , , parts] of result) {
    for (const [name, , flags] of (parts ?? []) as Part[]) {
      if (!flags.some((flag) => ["admin", "noscript", "blocking"].includes(flag))) continue;
      met++;
      // An argument too many, so that nothing is carried out should it pass.
      const { json } = await gateway.ask("/", {
        body: JSON.stringify([...name.split("|"), "\u0000", "\u0000"]),
      });
      if (!/not available|not allowed in REST/.test((json as { error?: string }).error ?? "")) {
        passed.push(name);
      }
    }
  }
  expect(met).toBeGreaterThan(50);
  expect(passed.sort()).toEqual([
    "function|delete",
    "function|flush",
    "function|list",
    "function|load",
    "function|stats",
    "script|exists",
    "script|flush",
    "script|load",
  ]);
});

test("XREAD and XREADGROUP are refused with BLOCK, wherever a name like it may stand", async () => {
  await using gateway = opened();
  const refused = { error: expect.stringContaining("with BLOCK") };
  expect(await gateway.run("XREAD", "BLOCK", 0, "STREAMS", "s", "$")).toEqual(refused);
  expect(await gateway.run("xread", "count", 1, "block", 0, "streams", "s", "$")).toEqual(refused);
  expect(await gateway.run("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")).toEqual(
    refused,
  );
  expect(await gateway.run("XREADGROUP", "GROUP", "streams", "c", "BLOCK", 0, "STREAMS", "s", ">")).toEqual(
    refused,
  );
  for (
    const order of [
      ["COUNT", 1, "GROUP", "streams", "c", "BLOCK", 0],
      ["COUNT", 1, "GROUP", "g", "streams", "block", 0],
      ["NOACK", "GROUP", "STREAMS", "STREAMS", "BLOCK", 0],
      ["GROUP", "group", "GROUP", "BLOCK", 0],
      ["BLOCK", 0, "GROUP", "g", "c"],
      ["GROUP", "g", "c", "NOACK", "COUNT", 1, "BLOCK", 0],
      ["GROUP", "g", "c", "GROUP", "STREAMS", "c", "BLOCK", 0],
    ]
  ) {
    const command = ["XREADGROUP", ...order, "STREAMS", "s", ">"];
    expect([command, await gateway.run(...command)]).toEqual([command, refused]);
  }
  expect((await gateway.ask("/xread/block/0/streams/s/%24")).json).toEqual(refused);
  expect((await gateway.ask("/xread/bl%6fck/0/streams/s/%24")).json).toEqual(refused);
  expect(await gateway.run("XREAD", "STREAMS", "BLOCK", "0")).toEqual({ result: null });
  for (
    const names of [["GROUP", "BLOCK", "c"], ["GROUP", "g", "BLOCK"], [
      "COUNT",
      1,
      "GROUP",
      "BLOCK",
      "STREAMS",
    ]]
  ) {
    expect(await gateway.run("XREADGROUP", ...names, "STREAMS", "BLOCK", ">")).toEqual({
      error: expect.stringMatching(/^NOGROUP/),
    });
  }
});
