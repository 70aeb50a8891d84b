import { describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { openContent } from "../../src/protocol/content.ts";
import { encodeJson } from "../../src/protocol/json.ts";
import { NO_EMBED, type WireSignature } from "../../src/protocol/signature.ts";
import {
  buildTask,
  packTask,
  peekTask,
  readTask,
  type TaskRequest,
  type TaskSpec,
} from "../../src/protocol/task.ts";
import { PyDatetime, PyFloat } from "../../src/protocol/types.ts";

const ID = "00000000-0000-4000-8000-000000000001";
const spec: TaskSpec = { task: "tasks.add", id: ID, origin: "gen1@host", replyTo: "reply" };

function message(
  headers: Readonly<Record<string, unknown>>,
  properties: Readonly<Record<string, unknown>> = {},
): Message {
  return {
    headers,
    properties,
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: new Uint8Array(),
  };
}

function read(headers: Readonly<Record<string, unknown>>, text: string): TaskRequest {
  return readTask(message(headers), text);
}

function signature(more: Partial<WireSignature> = {}): WireSignature {
  return {
    task: "tasks.next",
    args: [],
    kwargs: {},
    options: {},
    subtask_type: null,
    immutable: false,
    ...more,
  };
}

const V2 = { task: "tasks.add", id: ID };
const BODY = '[[1], {"b": 2}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]';

describe("buildTask", () => {
  test("writes every header and property of Celery, in its order", () => {
    const { headers, properties, body } = buildTask({ ...spec, args: [2, 3], kwargs: { a: true } });
    expect(Object.entries(headers)).toEqual([
      ["lang", "js"],
      ["task", "tasks.add"],
      ["id", ID],
      ["shadow", null],
      ["eta", null],
      ["expires", null],
      ["group", null],
      ["group_index", null],
      ["retries", 0],
      ["timelimit", [null, null]],
      ["root_id", ID],
      ["parent_id", null],
      ["argsrepr", "(2, 3)"],
      ["kwargsrepr", "{'a': True}"],
      ["origin", "gen1@host"],
      ["ignore_result", null],
      ["replaced_task_nesting", 0],
      ["stamped_headers", null],
      ["stamps", {}],
    ]);
    expect(properties).toEqual({ delivery_mode: 2, priority: 0, correlation_id: ID, reply_to: "reply" });
    expect(body).toEqual([[2, 3], { a: true }, NO_EMBED]);
  });

  test("expires gives the broker what is left in whole ms, never less than nothing", () => {
    const at = (expires: number | string, now?: number): unknown =>
      buildTask({ ...spec, expires, now }).properties["expiration"];
    expect(at(1_000_120_000, 1_000_000_000)).toBe("120000");
    expect(at("1970-01-01T00:00:02.500900Z", 1000)).toBe("1500");
    expect(at(5, 10)).toBe("0");
    expect(at(5)).toBeUndefined();
  });

  test("an expiry beyond RabbitMQ's ten years is left to the workers", () => {
    const at = (expires: number): unknown => buildTask({ ...spec, expires, now: 0 });
    expect(at(315_360_000_000)).toMatchObject({ properties: { expiration: "315360000000" } });
    expect(at(315_360_000_001)).not.toHaveProperty("properties.expiration");
    expect(at(315_360_000_001)).toMatchObject({ headers: { expires: "1979-12-30T00:00:00.001000+00:00" } });
  });

  test("keeps the ISO text of a peer, and writes ours as Python would", () => {
    const { headers } = buildTask({ ...spec, eta: "2030-01-02T03:04:05+09:00", expires: 0 });
    expect(headers).toMatchObject({ eta: "2030-01-02T03:04:05+09:00", expires: "1970-01-01T00:00:00+00:00" });
  });

  test("adds the sender's headers, but no note of a dead-lettered copy", () => {
    const { headers } = buildTask({
      ...spec,
      headers: {
        "x-tenant": "acme",
        gone: undefined,
        "x-death": [{}],
        "x-first-death-queue": "q",
        "x-last-death-reason": "r",
        "x-delivery-count": 3,
      },
    });
    expect(Object.keys(headers).slice(19)).toEqual(["x-tenant"]);
  });

  test.each<[string, Partial<Record<keyof TaskSpec, unknown>>]>([
    ["no id, which ends every Python worker in turn", { id: undefined }],
    ["an empty id", { id: "" }],
    ["an id that is no text", { id: 7 }],
    ["an id longer than AMQP's 255 bytes", { id: "é".repeat(128) }],
    ["a reply queue longer than AMQP's 255 bytes", { replyTo: "x".repeat(256) }],
    ["an empty reply queue", { replyTo: "" }],
    ["no task name", { task: "" }],
    ["args that are no array", { args: { 0: 1 } }],
    ["args that are null", { args: null }],
    ["kwargs that are null", { kwargs: null }],
    ["kwargs that are an array", { kwargs: [] }],
    ["kwargs that are a Map", { kwargs: new Map() }],
    ["an eta that is no instant", { eta: NaN }],
    ["an eta beyond Python's years", { eta: 1e15 }],
    ["an eta of garbage", { eta: "tomorrow" }],
    ["an expires that is no instant", { expires: "soon" }],
    ["a limit that is negative", { timeLimit: -1 }],
    ["a limit that is not finite", { softTimeLimit: Infinity }],
    ["a limit that is a pair", { timeLimit: [1, 2] }],
    ["retries that are no whole number", { retries: 1.5 }],
    ["a negative group index", { groupIndex: -1 }],
    ["a priority beyond AMQP's byte", { priority: 256 }],
    ["a priority that is no number", { priority: "9" }],
    ["a group that is no text", { group: 1 }],
    ["a header of Celery's own", { headers: { id: "other" } }],
    ["a header that Celery would hide", { headers: { kwargs: 1 } }],
    ["a header __proto__", { headers: JSON.parse('{"__proto__": 1}') as object }],
    ["no origin", { origin: undefined }],
  ])("refuses %s", (_name, wrong) => {
    expect(() => buildTask({ ...spec, ...wrong } as TaskSpec)).toThrow(
      expect.objectContaining({ name: "InvalidTaskError", code: "task-invalid" }),
    );
  });

  test("what cannot be encoded is refused with its place", () => {
    expect(() => packTask({ ...spec, kwargs: { when: new Map() } })).toThrow(
      expect.objectContaining({ name: "EncodeError", code: "json-unencodable" }),
    );
    expect(() => packTask({ ...spec, args: [undefined] })).toThrow("At [0]: undefined has no JSON form");
  });
});

describe("readTask", () => {
  test("the least that Python takes: two headers and an empty embed", () => {
    const request = read(V2, "[[1,2],{},{}]");
    expect(request).toMatchObject({
      protocol: 2,
      task: "tasks.add",
      id: ID,
      args: [1, 2],
      kwargs: {},
      rootId: ID,
      parentId: null,
      group: null,
      groupIndex: null,
      eta: null,
      expires: null,
      retries: 0,
      timeLimit: null,
      softTimeLimit: null,
      ignoreResult: null,
      stamps: {},
      stampedHeaders: null,
      replyTo: null,
      correlationId: null,
      priority: 0,
      headers: {},
    });
    expect(request.embed).toBe(NO_EMBED);
  });

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["an embed of null", V2, "[[], {}, null]"],
    ["unknown keys in the embed", V2, '[[], {}, {"odd": 1}]'],
    ["a timelimit of null", { ...V2, timelimit: null }, BODY],
    ["a timelimit of nulls", { ...V2, timelimit: [null, null] }, BODY],
    ["a group without a chord", { ...V2, group: "g" }, BODY],
    ["stamped_headers without stamps", { ...V2, stamped_headers: ["a"] }, BODY],
    [
      "flags of other types",
      { ...V2, ignore_result: 1, lang: 5, shadow: false, argsrepr: {}, origin: [] },
      BODY,
    ],
    ["retries of null", { ...V2, retries: null }, BODY],
    ["integers of 64 bits", { ...V2, retries: 3n, group_index: 1n, timelimit: [5n, null] }, BODY],
    ["white space around", V2, ` ${BODY}\n`],
  ])("takes %s", (_name, headers, text) => {
    expect(read(headers, text).id).toBe(ID);
  });

  test("reads every field", () => {
    const headers = {
      ...V2,
      lang: "py",
      shadow: "shown",
      eta: "2030-01-02T03:04:05.678901+00:00",
      expires: "2030-01-02T03:04:05+09:00",
      group: "g",
      group_index: 2,
      retries: 3,
      timelimit: [30, 10.5],
      root_id: "root",
      parent_id: "parent",
      argsrepr: "(1,)",
      kwargsrepr: "{}",
      origin: "gen1@host",
      ignore_result: true,
      replaced_task_nesting: 1,
      stamped_headers: ["m", 7],
      stamps: { m: "1" },
      compression: "application/x-gzip",
      redelivered: true,
      "x-tenant": "acme",
      n: 3,
    };
    const request = readTask(message(headers, { reply_to: "r", correlation_id: ID, priority: 7 }), BODY);
    const { exact, ...fields } = request;
    expect(fields).toEqual({
      protocol: 2,
      task: "tasks.add",
      id: ID,
      args: [1],
      kwargs: { b: 2 },
      embed: NO_EMBED,
      rootId: "root",
      parentId: "parent",
      group: "g",
      groupIndex: 2,
      eta: Date.UTC(2030, 0, 2, 3, 4, 5, 678),
      etaText: "2030-01-02T03:04:05.678901+00:00",
      expires: Date.UTC(2030, 0, 1, 18, 4, 5),
      expiresText: "2030-01-02T03:04:05+09:00",
      retries: 3,
      timeLimit: 30_000,
      softTimeLimit: 10_500,
      shadow: "shown",
      argsrepr: "(1,)",
      kwargsrepr: "{}",
      origin: "gen1@host",
      lang: "py",
      ignoreResult: true,
      replacedTaskNesting: 1,
      stampedHeaders: ["m"],
      stamps: { m: "1" },
      replyTo: "r",
      correlationId: ID,
      priority: 7,
      headers: { "x-tenant": "acme", n: 3 },
    });
    expect(exact()).toEqual({ args: [1], kwargs: { b: 2 } });
  });

  test.each([
    [{ priority: 2.5 }, { priority: 3 }],
    [{ priority: -1 }, { priority: 0 }],
    [{ priority: 300n }, { priority: 255 }],
    [{ priority: "7" }, { priority: 0 }],
    [{ reply_to: "ä".repeat(127) }, { replyTo: "ä".repeat(127) }],
    [{ reply_to: "ä".repeat(128) }, { replyTo: null }],
    [{ reply_to: "" }, { replyTo: null }],
  ])("takes from its properties what a message can be sent with: %#", (properties, read) => {
    expect(readTask(message(V2, properties), BODY)).toMatchObject(read);
  });

  test("arguments are plain, what follows is exact, and the exact arguments can be had", () => {
    const sig = encodeJson(signature({ args: [new PyFloat("1.0"), 2n ** 60n] }));
    const when = '{"__type__": "datetime", "__value__": "2024-05-28T01:02:03.456789"}';
    const text =
      `[[1.0, ${when}], {"k": 1e5}, {"callbacks": [${sig}], "errbacks": null, "chain": [${sig}], "chord": ${sig}}]`;
    const request = read(V2, text);
    expect(request.args).toEqual([1, new Date("2024-05-28T01:02:03.456Z")]);
    expect(request.kwargs).toEqual({ k: 100_000 });
    expect(request.embed.chain?.[0]?.args).toEqual([new PyFloat("1.0"), 1_152_921_504_606_846_976n]);
    expect(encodeJson(request.embed)).toBe(
      `{"callbacks": [${sig}], "errbacks": null, "chain": [${sig}], "chord": ${sig}}`,
    );
    expect(request.exact()).toEqual({
      args: [new PyFloat("1.0"), new PyDatetime("2024-05-28T01:02:03.456789")],
      kwargs: { k: new PyFloat("1e5") },
    });
    expect(readTask(message(V2), text, { exact: true })).toMatchObject(request.exact());
  });

  test("a signature keeps keys that we do not know, and gets those that it lacks", () => {
    const { embed } = read(V2, '[[], {}, {"chord": {"task": "t", "chord_size": 2}}]');
    expect(embed.chord).toEqual({ ...signature({ task: "t" }), chord_size: 2 });
  });

  test("protocol 1: the body is the message", () => {
    const text =
      `{"task": "tasks.add", "id": "${ID}", "args": [1.0], "kwargs": {"b": 2}, "group": "no", "taskset": "g", "retries": 1, ` +
      '"eta": "2030-01-02T03:04:05", "expires": null, "utc": true, "timelimit": [null, 5], "errbacks": null, ' +
      '"callbacks": [{"task": "tasks.next", "args": [1.0], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false}], "chord": null}';
    const request = readTask(message({ "x-tenant": "acme" }, { reply_to: "r" }), text);
    expect(request).toMatchObject({
      protocol: 1,
      task: "tasks.add",
      id: ID,
      args: [1],
      kwargs: { b: 2 },
      group: "g",
      retries: 1,
      eta: Date.UTC(2030, 0, 2, 3, 4, 5),
      softTimeLimit: 5000,
      headers: { "x-tenant": "acme" },
    });
    expect(request.embed).toEqual({ ...NO_EMBED, callbacks: [signature({ args: [new PyFloat("1.0")] })] });
    expect(request.exact().args).toEqual([new PyFloat("1.0")]);
    expect(peekTask(message({}))).toBeUndefined();
  });

  test("protocol 1 needs a task and an id alone", () => {
    expect(read({}, `{"task": "t", "id": "${ID}"}`)).toMatchObject({
      protocol: 1,
      args: [],
      kwargs: {},
      group: null,
    });
  });

  test("the hybrid: headers win over the fields of the body", () => {
    const text =
      `{"task": "no", "id": "no", "args": [1], "kwargs": {}, "retries": 4, "eta": "2030-01-02T03:04:05", "chord": null}`;
    expect(read(V2, text)).toMatchObject({
      protocol: 2,
      task: "tasks.add",
      id: ID,
      args: [1],
      retries: 4,
      etaText: "2030-01-02T03:04:05",
    });
    expect(peekTask(message(V2))).toBe("tasks.add");
  });

  // What each does to a Python worker: celery.md §1.5.
  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["no id (the worker dies, and the next one)", { task: "t" }, BODY],
    ["an id of null", { task: "t", id: null }, BODY],
    ["a body of two (the worker dies)", V2, "[[], {}]"],
    ["a body of four (the worker dies)", V2, "[[], {}, {}, {}]"],
    ["a body that is an object without args (the worker dies)", V2, "{}"],
    ["a body that is text (the worker dies)", V2, '"x"'],
    ["a body that is null", V2, "null"],
    ["a scalar timelimit (the worker dies)", { ...V2, timelimit: 5 }, BODY],
    ["a timelimit of one (the worker dies)", { ...V2, timelimit: [5] }, BODY],
    ["a timelimit of text", { ...V2, timelimit: ["5", null] }, BODY],
    ["a negative timelimit", { ...V2, timelimit: [-1, null] }, BODY],
    ["a timelimit that is not finite", { ...V2, timelimit: [Infinity, null] }, BODY],
    ["kwargs of null (acknowledged, and no result ever)", V2, "[[], null, {}]"],
    ["kwargs that are a list", V2, "[[], [], {}]"],
    ["kwargs that are a date", V2, '[[], {"__type__": "date", "__value__": "2024-05-28"}, {}]'],
    ["args of null", V2, "[null, {}, {}]"],
    ["args of text (taken letter by letter)", V2, '["ab", {}, {}]'],
    ["an embed of text", V2, '[[], {}, "x"]'],
    ["callbacks that are no list", V2, '[[], {}, {"callbacks": {"task": "t"}}]'],
    ["a chain of texts", V2, '[[], {}, {"chain": ["t"]}]'],
    ["a chord without a task", V2, '[[], {}, {"chord": {"args": []}}]'],
    ["a signature whose args are no list", V2, '[[], {}, {"chain": [{"task": "t", "args": "ab"}]}]'],
    ["a signature whose options are no object", V2, '[[], {}, {"chain": [{"task": "t", "options": []}]}]'],
    ["a numeric eta", { ...V2, eta: 1_795_324_844 }, BODY],
    ["an eta of true", { ...V2, eta: true }, BODY],
    ["an eta of garbage", { ...V2, eta: "soon" }, BODY],
    ["an empty eta", { ...V2, eta: "" }, BODY],
    ["an expires of garbage", { ...V2, expires: "1e308" }, BODY],
    ["a task that is no text", { ...V2, task: 5 }, BODY],
    ["an empty task", { ...V2, task: "" }, BODY],
    ["retries of text", { ...V2, retries: "1" }, BODY],
    ["retries below zero", { ...V2, retries: -1 }, BODY],
    ["retries without end", { ...V2, retries: 2 ** 60 }, BODY],
    ["a group that is no text", { ...V2, group: 5 }, BODY],
    ["a root that is no text", { ...V2, root_id: [] }, BODY],
    ["protocol 1 without an id (it runs, and then has no place for its result)", {}, '{"task": "t"}'],
    ["protocol 1 with kwargs of null", {}, '{"task": "t", "id": "i", "kwargs": []}'],
    ["the hybrid with args of text", V2, '{"args": "ab"}'],
  ])("refuses %s", (_name, headers, text) => {
    expect(() => read(headers, text)).toThrow(
      expect.objectContaining({ name: "InvalidTaskError", code: "task-invalid" }),
    );
  });

  test.each([
    ["a body that is no object", "[]"],
    ["a body without a task", '{"id": "i"}'],
    ["a text", '"x"'],
  ])("without a task header, %s is no task message", (_name, text) => {
    expect(() => read({}, text)).toThrow(
      expect.objectContaining({ name: "InvalidTaskError", code: "task-unknown-message" }),
    );
  });

  test.each(["constructor", "__proto__", "toString", "../../x", "fs.readFile"])(
    "takes %s for a task's name as for any other",
    (task) => {
      expect(read({ task, id: ID }, BODY).task).toBe(task);
    },
  );

  test("headers of a prototype are none, and one named __proto__ is dropped", () => {
    const headers = JSON.parse(
      '{"task": "t", "id": "i", "__proto__": {"polluted": true}, "constructor": 1}',
    ) as Record<string, unknown>;
    const request = read(headers, BODY);
    expect(request.headers).toEqual({ constructor: 1 });
    expect("polluted" in request.headers).toBe(false);
    expect(() => read(Object.create({ task: "t", id: "i" }) as Record<string, unknown>, BODY)).toThrow(
      expect.objectContaining({ code: "task-unknown-message" }),
    );
  });

  test("a message that we packed is the task that was meant, also compressed", async () => {
    const more: TaskSpec = {
      ...spec,
      args: [1, "é"],
      kwargs: { when: new Date(7) },
      embed: { ...NO_EMBED, chain: [signature()] },
      parentId: "p",
      rootId: "r",
      group: "g",
      groupIndex: 0,
      eta: 5,
      expires: 6,
      retries: 2,
      timeLimit: 1,
      softTimeLimit: 2,
      shadow: "s",
      ignoreResult: false,
      priority: 9,
      headers: { own: [1] },
    };
    for (const compression of [null, "gzip"]) {
      const packed = await packTask(more, { compression });
      const { exact: _, ...request } = readTask(packed, await openContent(packed, { accept: ["json"] }));
      const { origin, replyTo, ...same } = more;
      expect(request).toMatchObject({ ...same, origin, replyTo, correlationId: ID });
    }
  });
});
