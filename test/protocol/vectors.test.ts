/**
 * What real Celery put on the wire, read without loss and, where a case is a way of sending, written again from its meaning. Whatever we
 * write otherwise stands in DEVIATIONS with its reason; a deviation that is none any more fails too.
 */
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/protocol/message.ts";
import { openContent, packContent } from "../../src/protocol/content.ts";
import { decodeJson, encodeJson } from "../../src/protocol/json.ts";
import { decodeResult, encodeResult, resultStatus } from "../../src/protocol/result.ts";
import type { WireSignature } from "../../src/protocol/signature.ts";
import { packTask, readTask, type TaskRequest, type TaskSpec } from "../../src/protocol/task.ts";
import { PyDate, PyDatetime, PyDecimal, PyFloat, PyTime, PyUuid } from "../../src/protocol/types.ts";
import { type Captured, load, messageOf, type TaskFile, type WorkerFile } from "./vector-files.ts";

const FILES = [
  "../vectors/task-messages.amqp.celery-5.6.2.json",
  "../vectors/task-messages.amqp.celery-5.2.6.json",
  "../vectors-own/task-messages.amqp.celery-5.2.6.json",
];

interface Deviation {
  /** Celery's version, or a case, or a case of a version (`5.2.6/group`); undefined for every case. */
  readonly of?: string;
  /** A case that does not deviate, because it says what we say when nothing is said. */
  readonly but?: string;
  readonly path: string;
  readonly reason: string;
}

const DEVIATIONS: readonly Deviation[] = [
  { path: "headers.lang", reason: "The message was written in JavaScript. Python workers never read it." },
  {
    path: "headers.ignore_result",
    but: "ignore_result",
    reason: "Null when unsaid: an unconditional false turns storing back on in workers from 5.6.3.",
  },
  { of: "5.2.6", path: "headers.replaced_task_nesting", reason: "The meaning is 5.6.2's; 5.2 ignores it." },
  { of: "5.2.6", path: "headers.stamped_headers", reason: "The meaning is 5.6.2's; 5.2 ignores it." },
  { of: "5.2.6", path: "headers.stamps", reason: "The meaning is 5.6.2's; 5.2 ignores it." },
  {
    of: "5.2.6/group",
    path: "headers.group_index",
    reason: "5.2 sends no index without a chord; 5.6.2 does.",
  },
  {
    of: "starmap",
    path: "headers.kwargsrepr",
    reason: "Python shows a tuple inside as (1, 2); JavaScript has arrays only.",
  },
  {
    of: "map",
    path: "headers.kwargsrepr",
    reason: "Python shows a tuple inside as (); JavaScript has arrays only.",
  },
  {
    of: "json_types",
    path: "headers.argsrepr",
    reason: "Python was given a list and shows one; positional arguments are a tuple to us.",
  },
  {
    of: "json_types_as_text",
    path: "headers.argsrepr",
    reason:
      "kombu 5.2 turns dates into text while encoding, after the repr; whoever sends text to us shows text.",
  },
];

/** Ways of sending that we refuse: what the refusal says. */
const NOT_WRITTEN: Readonly<Record<string, { readonly options: object; readonly code: string }>> = {
  yaml: { options: { serializer: "yaml" }, code: "serializer-unsupported" },
  msgpack: { options: { serializer: "msgpack" }, code: "serializer-unsupported" },
  bzip2: { options: { compression: "bzip2" }, code: "compression-unsupported" },
};

const NOT_READ: Readonly<Record<string, string>> = {
  yaml: "decode-content-type",
  msgpack: "decode-content-type",
  bzip2: "compression-unsupported",
};

function sig(
  task: string,
  args: readonly unknown[],
  options: object,
  more: Partial<WireSignature> = {},
): WireSignature {
  return { task, args, kwargs: {}, options: { ...options }, subtask_type: null, immutable: false, ...more };
}

/** What Celery itself made up: ids that the message's own parts tell. */
function idsIn(captured: Captured): (nth: number) => string {
  const found = [...(captured.body ?? "").matchAll(/"task_id": "([^"]+)"/g)].map(([, id]) => id ?? "");
  return (nth) => found[nth] ?? "";
}

type Meaning = Partial<TaskSpec> & { readonly compression?: string };

/** The meaning of each case: what its sender said. */
const WAYS: Readonly<Record<string, (captured: Captured, index: number, version: string) => Meaning>> = {
  send_task_kwargs: () => ({ task: "tasks.sum.consume_task", args: [], kwargs: { a: 86, b: 63 } }),
  delay_args: () => ({}),
  countdown: ({ headers }) => ({ eta: String(headers["eta"]) }),
  eta_naive_utc: () => ({ eta: "2030-01-02T03:04:05.678901+00:00" }),
  eta_offset: () => ({ eta: "2030-01-02T03:04:05+09:00" }),
  expires_seconds: ({ headers }) => {
    const expires = String(headers["expires"]);
    return { expires, now: Math.trunc(Date.parse(expires)) - 120_000 };
  },
  expires_datetime: ({ properties }) => ({
    expires: Date.UTC(2030, 0, 2, 3, 4, 5),
    now: Date.UTC(2030, 0, 2, 3, 4, 5) - Number(properties["expiration"]),
  }),
  priority: () => ({ priority: 7 }),
  timelimits: () => ({ timeLimit: 30_000, softTimeLimit: 10_500 }),
  custom_headers: () => ({ headers: { "x-tenant": "acme", n: 3 } }),
  ignore_result: () => ({ ignoreResult: true }),
  shadow_argsrepr: () => ({ shadow: "pretty.name", argsrepr: "(hidden)", kwargsrepr: "{hidden}" }),
  link: (captured) => ({
    embed: {
      callbacks: [sig("tasks.mul", [10], { task_id: idsIn(captured)(0) })],
      errbacks: null,
      chain: null,
      chord: null,
    },
  }),
  link_error: (captured) => ({
    embed: {
      callbacks: null,
      errbacks: [sig("tasks.on_error", [], { task_id: idsIn(captured)(0) })],
      chain: null,
      chord: null,
    },
  }),
  chain: (captured) => {
    const id = idsIn(captured);
    const reply_to = captured.properties["reply_to"];
    const chain = [
      sig("tasks.add", [4], { task_id: id(0), reply_to }),
      sig("tasks.mul", [5, 6], { task_id: id(1), reply_to }, { immutable: true }),
      sig("tasks.mul", [3], { task_id: id(2), reply_to }),
    ];
    return { args: [1, 1], embed: { callbacks: null, errbacks: null, chain, chord: null } };
  },
  group: ({ headers }, index) => ({
    args: [index, index],
    group: String(headers["group"]),
    groupIndex: index,
  }),
  chord: (captured, index, version) => {
    const group = String(captured.headers["group"]);
    const options = { task_id: idsIn(captured)(0), reply_to: captured.properties["reply_to"] };
    const chord = sig("tasks.tsum", [], version === "5.2.6" ? options : { ...options, group_id: group });
    return {
      args: [index, index],
      group,
      groupIndex: index,
      embed: { callbacks: null, errbacks: null, chain: null, chord },
    };
  },
  chain_of_group_upgraded_to_chord: (captured) => {
    const id = idsIn(captured);
    const reply_to = captured.properties["reply_to"];
    const body = sig("tasks.tsum", [], { task_id: id(1), reply_to });
    const part = (nth: number, arg: number, group_index: number): WireSignature =>
      sig("tasks.mul", [arg], { task_id: id(nth), reply_to, chord: body, group_index });
    const group = sig("celery.group", [], { task_id: id(4), chord: body, root_id: null, parent_id: null }, {
      kwargs: { tasks: [part(0, 2, 0), part(2, 3, 1)] },
      subtask_type: "group",
    });
    const chord = sig("celery.chord", [], { task_id: id(4) }, {
      kwargs: { kwargs: {}, header: group, body },
      subtask_type: "chord",
    });
    return { args: [1, 1], embed: { callbacks: null, errbacks: null, chain: [chord], chord: null } };
  },
  group_in_chain_tail: (captured) => {
    const id = idsIn(captured);
    const reply_to = captured.properties["reply_to"];
    const tasks = [2, 3].map((arg, index) =>
      sig("tasks.mul", [arg], { task_id: id(index), reply_to, group_index: index })
    );
    const group = sig("celery.group", [], { task_id: id(2), root_id: null, parent_id: null }, {
      kwargs: { tasks },
      subtask_type: "group",
    });
    return { args: [1, 1], embed: { callbacks: null, errbacks: null, chain: [group], chord: null } };
  },
  starmap: () => ({
    task: "celery.starmap",
    args: [],
    kwargs: { task: sig("tasks.add", [], {}), it: [[1, 2], [3, 4]] },
  }),
  map: () => ({
    task: "celery.map",
    args: [],
    kwargs: { task: sig("tasks.tsum", [], {}), it: [[1, 2], [3, 4]] },
  }),
  gzip: () => ({ compression: "gzip" }),
  json_types: () => ({
    task: "tasks.types",
    args: [
      new PyDatetime("2024-05-28T01:02:03.456789"),
      new Date(Date.UTC(2024, 4, 28, 1, 2, 3)),
      new PyDate("2024-05-28"),
      new PyTime("01:02:03"),
      new PyDecimal("1.10"),
      new PyUuid("12345678-1234-5678-1234-567812345678"),
      Uint8Array.of(0, 0xff, 0x62, 0x79, 0x74, 0x65, 0x73),
    ],
    kwargs: { unicode: "셀러리 ✓", float: 1.5, big: 2n ** 60n, nan: null },
  }),
  stamped: () => ({ args: [1, 2], stampedHeaders: ["monitoring_id"], stamps: { monitoring_id: "m-1" } }),
  replaced_route_topic: () => ({}),
  reply_to: () => ({ replyTo: "my-reply" }),
  empty_args: () => ({ task: "tasks.none", args: [] }),
  nan: () => ({ args: [NaN, Infinity], kwargs: { low: -Infinity } }),
  topic: () => ({}),
  numbers: () => ({
    args: [
      new PyFloat("1.0"),
      new PyFloat("100000.0"),
      1e16,
      1e22,
      1e-5,
      1e-7,
      0.1,
      -0,
      5e-324,
      2n ** 53n,
      2n ** 60n,
      -(2n ** 70n),
    ],
    kwargs: { true: true },
  }),
  strings: () => ({
    args: ['\u0000\u001f\u007f\u0080é셔€\u2028😀"\\/\b\f\n\r\t'],
    kwargs: { "": "", "'": "it's" },
  }),
  json_types_as_text: () => ({
    args: [
      "2024-05-28T01:02:03.456789",
      "2024-05-28T01:02:03Z",
      "2024-05-28T00:00:00",
      "01:02:03",
      "1.10",
      "12345678-1234-5678-1234-567812345678",
    ],
  }),
};

function specOf(captured: Captured, meaning: Meaning): TaskSpec {
  const { compression: _, ...said } = meaning;
  return {
    task: "tasks.add",
    args: [2, 3],
    id: String(captured.headers["id"]),
    origin: String(captured.headers["origin"]),
    replyTo: String(captured.properties["reply_to"]),
    ...said,
  };
}

/** The request as a spec again, arguments and all in exact form. */
function again(request: TaskRequest): TaskSpec {
  const { etaText: eta, expiresText: expires, correlationId: _, exact, replyTo, origin, ...same } = request;
  return { ...same, ...exact(), eta, expires, replyTo: replyTo ?? "", origin: origin ?? "" };
}

async function textOf(message: Message): Promise<string> {
  return await openContent(message, { accept: ["json", "yaml", "msgpack"] });
}

/** Where ours is not theirs, in headers (and their order), properties and body. */
async function differences(ours: Message, theirs: Message): Promise<string[]> {
  const found: string[] = [];
  for (const part of ["headers", "properties"] as const) {
    const keys = new Set([...Object.keys(theirs[part]), ...Object.keys(ours[part])]);
    const shared = (record: Message): string[] =>
      Object.keys(record[part]).filter((key) => key in theirs[part] && key in ours[part]);
    if (part === "headers" && String(shared(ours)) !== String(shared(theirs))) {
      found.push("headers, their order");
    }
    for (const key of keys) {
      if (JSON.stringify(ours[part][key]) !== JSON.stringify(theirs[part][key])) found.push(`${part}.${key}`);
    }
  }
  for (const key of ["contentType", "contentEncoding"] as const) {
    if (ours[key] !== theirs[key]) found.push(key);
  }
  if (await textOf(ours) !== await textOf(theirs)) found.push("body");
  return found;
}

function named(version: string, name: string): string[] {
  return DEVIATIONS.filter(({ of, but }) =>
    (of === undefined || [version, name, `${version}/${name}`].includes(of)) && but !== name
  )
    .map(({ path }) => path);
}

describe.each(FILES)("%s", (path) => {
  const { celery: version, cases } = load<TaskFile>(path);

  test.each(Object.keys(cases))("%s is read, and written back, without loss", async (name) => {
    for (const captured of cases[name] ?? []) {
      const message = messageOf(captured);
      const code = NOT_READ[name];
      if (code !== undefined) {
        await expect(textOf(message)).rejects.toMatchObject({ code });
        continue;
      }
      const text = await textOf(message);
      const request = readTask(message, text);
      const back = await packTask(again(request));
      expect(new TextDecoder().decode(back.body)).toBe(text);
      const expected: Record<string, unknown> = {
        replaced_task_nesting: 0,
        stamped_headers: null,
        stamps: {},
        ...captured.headers,
        lang: "js",
      };
      delete expected["compression"];
      expect(back.headers).toEqual(expected);
    }
  });

  test.each(Object.keys(cases))("%s is written from its meaning as Celery wrote it", async (name) => {
    const refused = NOT_WRITTEN[name];
    if (refused !== undefined) {
      expect(() => packContent([], refused.options)).toThrow(expect.objectContaining({ code: refused.code }));
      return;
    }
    const meaning = WAYS[name];
    if (meaning === undefined) throw new Error(`No meaning is given for the case ${name}.`);
    for (const [index, captured] of (cases[name] ?? []).entries()) {
      const said = meaning(captured, index, version);
      const ours = await packTask(specOf(captured, said), { compression: said.compression });
      expect((await differences(ours, messageOf(captured))).sort()).toEqual(named(version, name).sort());
    }
  });
});

describe.each(["5.6.2", "5.2.6"])("results of celery %s", (version) => {
  const { results } = load<WorkerFile>(`../vectors/worker.celery-${version}.json`);

  test.each(Object.keys(results))(
    "%s: each stored and published document is read, and written back, byte for byte",
    (name) => {
      const { keys, published } = results[name] ?? { keys: {}, published: [] };
      for (const { channel, data } of published) check(channel, data);
      for (const [key, { type, value = "", members = [] }] of Object.entries(keys)) {
        if (type === "zset") expect(members.length).toBeGreaterThan(0);
        for (const text of type === "zset" ? members.map(([member]) => member) : [value]) check(key, text);
      }
    },
  );
});

function check(key: string, text: string): void {
  if (key.startsWith("celery-task-meta-")) return checkResult(key, text);
  // Group records, and the parts of a chord, which are counted as text.
  expect(key).toMatch(/^celery-taskset-meta-/);
  expect(encodeJson(decodeJson(text, { exact: true }))).toBe(text);
}

function checkResult(key: string, text: string): void {
  const meta = decodeResult(text, { exact: true });
  expect(`celery-task-meta-${meta.taskId}`).toBe(key);
  expect(encodeResult(meta)).toBe(text);
  expect(resultStatus(text)).toBe(meta.status);
}

test("every case has exactly one way to be matched or refused", () => {
  const all = new Set(FILES.flatMap((path) => Object.keys(load<TaskFile>(path).cases)));
  expect(new Set([...Object.keys(WAYS), ...Object.keys(NOT_WRITTEN)])).toEqual(all);
  expect(Object.keys(WAYS).filter((name) => name in NOT_WRITTEN)).toEqual([]);
});
