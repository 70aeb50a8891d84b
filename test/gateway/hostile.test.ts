import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRows } from "../../src/gateway/json.ts";
import { Tokens } from "../../src/gateway/tokens.ts";
import { fresh, opened, TOKEN } from "./setup.ts";

function headersText(headers: Headers): string {
  const all: string[] = [];
  headers.forEach((value, name) => all.push(`${name}: ${value}`));
  return all.join("\n");
}

/** `{"result": …}` and nothing else. */
function isResult(json: unknown): boolean {
  return JSON.stringify(Object.keys(json ?? {})) === '["result"]';
}

/** `{"error": "…"}` and nothing else. */
function isError(json: unknown): boolean {
  return JSON.stringify(Object.keys(json ?? {})) === '["error"]' &&
    typeof (json as { error: unknown }).error === "string";
}

const error = { error: expect.stringMatching(/^[A-Z]+ /) };

test("what is no command is 400 with a sentence, at each door", async () => {
  await using gateway = opened();
  const bodies = [
    undefined,
    "",
    "null",
    "7",
    '"PING"',
    "{}",
    '{"0":"PING","length":1}',
    "[",
    "[]",
    "[[]]",
    "[null]",
    '["GET",null]',
    '["GET",{}]',
    '["GET",["a"]]',
    '["GET",{"toString":"x"}]',
    '["SET","k","v"',
    '["PING"]x',
    '["PING",]',
    "[1]",
    "[true]",
    '\uFEFF["PING"]',
    "['PING']",
    "[NaN]",
    '["PING\\u0000"]',
    '[""]',
    '[" PING"]',
    '["PING\\r\\nFLUSHALL"]',
    '["PING","\\x"]',
    '[["PING"],["GET",null]]',
    '[["PING"],"PING"]',
    '[["PING"],[]]',
    '[["PING"],{"a":1}]',
    "[[[]]]",
  ];
  for (const body of bodies) {
    for (const path of ["/", "/pipeline", "/multi-exec"]) {
      const { status, json } = await gateway.ask(path, { body });
      expect([body, path, status, json]).toEqual([body, path, 400, error]);
    }
  }
});

test("a pipeline that is wrong in one row executes none", async () => {
  await using gateway = opened();
  const key = fresh();
  const body = JSON.stringify([["SET", key, "v"], ["SET", key, null]]);
  expect((await gateway.ask("/pipeline", { body })).status).toBe(400);
  expect(await gateway.run("exists", key)).toEqual({ result: 0 });
});

test("names that the language or the library knows are no commands", async () => {
  await using gateway = opened();
  for (
    const name of [
      "constructor",
      "__proto__",
      "toString",
      "hasOwnProperty",
      "valueOf",
      "himport",
      "quit",
      "disconnect",
    ]
  ) {
    expect((await gateway.ask("/", { body: JSON.stringify([name, "a"]) })).json).toEqual(error);
    expect((await gateway.ask(`/${name}/a`)).json).toEqual(error);
    // The connection is as good as before.
    expect(await gateway.run("PING")).toEqual({ result: "PONG" });
  }
});

test("any body and path settles as JSON with a status of ours, and the next request is served", async () => {
  await using gateway = opened();
  const piece = fc.constantFrom(
    "[",
    "]",
    "{",
    "}",
    '"',
    ",",
    ":",
    "\\",
    "1",
    "-",
    "PING",
    '"PING"',
    "null",
    "e",
    ".",
    " ",
    "\u0000",
  );
  const body = fc.oneof(
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join("")),
    fc.json().map((json) => json),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
  );
  const path = fc.oneof(
    fc.constantFrom(
      "/",
      "/pipeline",
      "/multi-exec",
      "/pipeline/x",
      "//",
      "/get",
      "/echo/%",
      "/echo/%f",
      "/echo/%zz",
      "/%00",
      "/echo//",
    ),
    fc.array(fc.constantFrom("/", "%", "2", "f", "echo", "..", ".", "?", "&", "=", "#", ";", ":", "@"), {
      maxLength: 8,
    })
      .map((parts) => `/echo/${parts.join("")}`),
  );
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(path, body, async (at, sent) => {
      const { status, json } = await gateway.ask(at, { body: sent });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const rows = status === 200 && /^\/(pipeline|multi-exec)$/.test(at);
      expect(rows ? json : [json]).toEqual(expect.any(Array));
      const all = (rows ? json : [json]) as readonly unknown[];
      expect(all.length).toBeGreaterThan(0);
      for (const one of all) {
        if (status === 400) expect(one).toEqual(error);
        else if (rows) expect(one).toSatisfy((it) => isResult(it) || isError(it));
        else expect([status, one]).toEqual([200, expect.toSatisfy(isResult)]);
      }
    }),
    { numRuns: 300 },
  );
  expect(statuses.get(200) ?? 0).toBeGreaterThan(5);
  expect(statuses.get(400) ?? 0).toBeGreaterThan(50);
  expect(await gateway.run("PING")).toEqual({ result: "PONG" });
});

test("ten megabytes of brackets are refused at once, at each door", async () => {
  await using gateway = opened();
  const deep = "[".repeat(9 << 20);
  for (
    const body of [
      deep,
      `["ECHO",${deep}`,
      `[["ECHO",${deep}`,
      `["ECHO",{"a":${deep}`,
      "[".repeat(3) + "]".repeat(3),
    ]
  ) {
    for (const path of ["/", "/pipeline"]) {
      const begin = performance.now();
      const { status, json } = await gateway.ask(path, { body });
      expect([status, json]).toEqual([400, error]);
      // Building them takes seconds, in which nobody is served.
      expect(performance.now() - begin).toBeLessThan(1500);
    }
  }
  expect(await gateway.run("PING")).toEqual({ result: "PONG" });
});

test("a JSON reader of ours takes exactly the arrays that JSON.parse takes", () => {
  const piece = fc.constantFrom(
    "[",
    "]",
    '"',
    ",",
    "\\",
    '\\"',
    "1",
    "-",
    "0",
    ".",
    "e",
    "E",
    "+",
    "a",
    "true",
    "null",
    " ",
    "\n",
    "{",
    "}",
    '"a"',
    "12",
    "-0",
    "1.50",
    "01",
  );
  const free = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  const item = fc.oneof(
    piece,
    fc.string({ unit: "binary", maxLength: 6 }).map((text) => JSON.stringify(text)),
    fc.double().map(String),
  );
  const text = fc.oneof(free, fc.array(item, { maxLength: 4 }).map((items) => `[${items.join(",")}]`));
  let good = 0;
  fc.assert(
    fc.property(text, (given) => {
      let wanted: unknown;
      try {
        wanted = JSON.parse(given);
      } catch {
        expect(() => parseRows(new TextEncoder().encode(given), 2, 100)).toThrow(/failed to parse/);
        return;
      }
      if (deeper(wanted, 2)) {
        expect(() => parseRows(new TextEncoder().encode(given), 2, 100)).toThrow(/failed to parse/);
        return;
      }
      good++;
      const numbers = (value: unknown): unknown => Array.isArray(value) ? value.map(numbers) : value;
      const read = parseRows(new TextEncoder().encode(wellFormed(given)), 2, 100);
      expect(loose(read)).toEqual(loose(numbers(JSON.parse(wellFormed(given)))));
    }),
    { numRuns: 1000 },
  );
  expect(good).toBeGreaterThan(80);
});

/** Numbers as texts of doubles, so that both readings compare. */
function loose(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(loose);
  if (typeof value === "string" && /^-?[0-9]/.test(value) && !Number.isNaN(Number(value))) {
    return String(Number(value));
  }
  return typeof value === "number" ? String(value) : value;
}

function deeper(value: unknown, depth: number): boolean {
  if (Array.isArray(value)) return depth === 0 || value.some((part) => deeper(part, depth - 1));
  return typeof value === "object" && value !== null;
}

function wellFormed(text: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

test("a body over the bound is refused, and read no further than that", async () => {
  await using gateway = opened({ maxBody: 1 << 20 });
  let given = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      given += 65_536;
      if (given > 100 << 20) controller.close();
      else controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
  });
  const told = { error: expect.stringMatching(/^ERR max request size exceeded\. Limit: 1048576 bytes/) };
  const answer = await gateway.ask("/", { body: endless });
  expect([answer.status, answer.json]).toEqual([400, told]);
  expect(given).toBeLessThan(4 << 20);
  expect((await gateway.ask("/set/x", { body: new Uint8Array((1 << 20) + 1) })).json).toEqual(told);
  const lying = await gateway.ask("/", {
    body: '["PING"]',
    headers: { "content-length": String(100 << 20) },
  });
  expect([200, 400]).toContain(lying.status);
  const key = fresh();
  expect((await gateway.ask(`/set/${key}`, { body: new Uint8Array(1 << 20) })).json).toEqual({
    result: "OK",
  });
  await gateway.run("del", key);
});

test("a pipeline over the bound is refused whole", async () => {
  await using gateway = opened({ maxCommands: 3 });
  const rows = (count: number): string => JSON.stringify(Array.from({ length: count }, () => ["PING"]));
  for (const path of ["/pipeline", "/multi-exec"]) {
    expect((await gateway.ask(path, { body: rows(3) })).status).toBe(200);
    const { status, json } = await gateway.ask(path, { body: rows(4) });
    expect([status, json]).toEqual([400, {
      error: "ERR max pipeline length exceeded. Limit: 3 commands, Actual: 4",
    }]);
  }
});

test("arguments over the bound are refused while they are counted, at each door", async () => {
  await using gateway = opened();
  const most = 10 << 20;
  const bodies = [
    `["DEL","DEL"${",1".repeat((most - 20) / 2)}]`,
    `["DEL"${',""'.repeat((most - 20) / 3)}]`,
    `["DEL"${",true".repeat((most - 20) / 5)}]`,
    `["DEL"${" 1".repeat((most - 20) / 2)}]`,
    `[["DEL"${",1".repeat((most - 20) / 2)}]]`,
    `[[]${",[]".repeat((most - 20) / 3)}]`,
    `[["A"]${',["A"]'.repeat((most - 20) / 6)}]`,
  ];
  for (const body of bodies) {
    for (const path of ["/", "/pipeline", "/multi-exec"]) {
      const begin = performance.now();
      const { status, json } = await gateway.ask(path, { body });
      // A command has no rows, so that these are refused at their second bracket.
      const told = path === "/" && body.startsWith("[[") ? error : {
        error: "ERR max arguments exceeded. Limit: 100000 arguments in one request",
      };
      expect([body.slice(0, 20), status, json]).toEqual([body.slice(0, 20), 400, told]);
      // Building them takes seconds, and a gigabyte.
      expect(performance.now() - begin).toBeLessThan(1500);
    }
  }
  expect(await gateway.run("PING")).toEqual({ result: "PONG" });
});

test("the bound of arguments counts the names, over all commands of the request", async () => {
  await using gateway = opened({ maxArguments: 6 });
  const told = { error: "ERR max arguments exceeded. Limit: 6 arguments in one request" };
  const key = fresh();
  expect(await gateway.run("EXISTS", key, 1, true, "b", -1.5)).toEqual({ result: 0 });
  expect(await gateway.run("EXISTS", key, 1, true, "b", -1.5, false)).toEqual(told);
  expect((await gateway.ask(`/exists/${key}/b/c?d=e`, { body: "" })).json).toEqual({ result: 0 });
  expect((await gateway.ask(`/exists/${key}/b/c?d=e`, { body: "x" })).json).toEqual(told);
  expect((await gateway.ask(`/exists/${key}/b/c?d=e&f`)).json).toEqual(told);
  for (const path of ["/pipeline", "/multi-exec"]) {
    const three = [["GET", key], ["GET", key], ["GET", key]];
    expect((await gateway.ask(path, { body: JSON.stringify(three) })).status).toBe(200);
    const { status, json } = await gateway.ask(path, { body: JSON.stringify([...three, ["PING"]]) });
    expect([status, json]).toEqual([400, told]);
  }
});

test("a body that breaks off executes nothing", async () => {
  await using gateway = opened();
  const key = fresh();
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(`["SET","${key}",`));
      controller.error(new Error("the client is gone"));
    },
  });
  const { status, json } = await gateway.ask("/", { body: broken });
  expect([status, json]).toEqual([400, error]);
  expect(await gateway.run("exists", key)).toEqual({ result: 0 });
});

test("a reply of a script that is nested too deep for the library costs this request, and the next one is served", async () => {
  await using gateway = opened();
  const script = "local t = {1} for i = 1, tonumber(ARGV[1]) do t = {t} end return t";
  const nested = async (depth: number): Promise<{ status: number; text: string }> =>
    await gateway.ask("/", { body: JSON.stringify(["EVAL", script, 0, depth]) });
  expect((await nested(500)).text).toBe(`{"result":${"[".repeat(501)}1${"]".repeat(501)}}`);
  expect([200, 500, 502]).toContain((await nested(7000)).status);
  expect(await gateway.run("PING")).toEqual({ result: "PONG" });
});

test("dots in a path stay what a URL makes of them, and reach nothing else", async () => {
  await using gateway = opened();
  expect((await gateway.ask("/x/../ping")).json).toEqual({ result: "PONG" });
  expect((await gateway.ask("/echo/%2e%2e%2fping")).json).toEqual({ result: "../ping" });
  expect((await gateway.ask("/pipeline/../ping")).json).toEqual({ result: "PONG" });
  expect((await gateway.ask("/pipeline/x", { body: '[["PING"]]' })).json).toEqual(error);
  expect((await gateway.ask("/%70ipeline", { body: '[["PING"]]' })).json).toEqual(error);
});

test("no answer holds a token, whatever was asked", async () => {
  await using gateway = opened();
  const asked = [
    gateway.ask(`/nosuch/a?_token=${TOKEN}`),
    gateway.ask(`/get?_token=${TOKEN}&x=y`),
    gateway.ask(`/?_token=${TOKEN}`, { body: "[" }),
    gateway.ask("/ping", { method: "DELETE" }),
    gateway.ask("/subscribe"),
  ];
  for (const { text, headers } of await Promise.all(asked)) {
    expect(text + headersText(headers)).not.toContain(TOKEN);
  }
});

test("a token that is nearly right takes no longer to refuse than one that is not", () => {
  const token = "k".repeat(64);
  const tokens = new Tokens([[token, 1], ["other", 2]]);
  expect(tokens.find(token)).toBe(1);
  expect(tokens.find("other")).toBe(2);
  const near = `${"k".repeat(63)}x`;
  const far = `x${"k".repeat(63)}`;
  const time = (guess: string): number => {
    const begin = performance.now();
    let found = 0;
    for (let round = 0; round < 2000; round++) if (tokens.find(guess) !== undefined) found++;
    const spent = performance.now() - begin;
    expect(found).toBe(0);
    return spent;
  };
  time(near);
  const ratios = Array.from({ length: 15 }, () => time(near) / time(far)).sort((a, b) => a - b);
  // A comparison that stops at the first difference would not show here either: that both digests are compared whole is what counts.
  expect(ratios[7]).toBeGreaterThan(0.5);
  expect(ratios[7]).toBeLessThan(2);
});
