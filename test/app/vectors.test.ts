import { describe, expect, test } from "vitest";
import type { Message, SendOptions } from "../../mod.ts";
import { parseInstant } from "../../src/protocol/instant.ts";
import { bodyOf, type Captured, load, type TaskFile } from "../protocol/vector-files.ts";
import { bodyText, setup } from "./setup.ts";

/** The call that means what the captured one meant; `clock` is ms since the epoch. */
interface Case {
  readonly task?: string;
  readonly options: SendOptions;
  readonly clock?: (captured: Captured) => number;
}

const instantOf = (captured: Captured, header: string): number =>
  parseInstant(captured.headers[header]) ?? NaN;

const { app } = setup();
const args = [2, 3];

const CASES: Readonly<Record<string, Case>> = {
  send_task_kwargs: { task: "tasks.sum.consume_task", options: { kwargs: { a: 86, b: 63 } } },
  delay_args: { options: { args } },
  countdown: { options: { args, countdown: 60 }, clock: (captured) => instantOf(captured, "eta") - 60_000 },
  eta_naive_utc: { options: { args, eta: new Date("2030-01-02T03:04:05.678Z") } },
  eta_offset: { options: { args, eta: "2030-01-02T03:04:05+09:00" } },
  expires_seconds: {
    options: { args, expires: 120 },
    clock: (captured) => instantOf(captured, "expires") - 120_000,
  },
  expires_datetime: {
    options: { args, expires: new Date("2030-01-02T03:04:05Z") },
    clock: (captured) => Date.UTC(2030, 0, 2, 3, 4, 5) - Number(captured.properties["expiration"]),
  },
  priority: { options: { args, priority: 7 } },
  timelimits: { options: { args, timeLimit: 30, softTimeLimit: 10.5 } },
  custom_headers: { options: { args, headers: { "x-tenant": "acme", n: 3 } } },
  ignore_result: { options: { args, ignoreResult: true } },
  shadow_argsrepr: { options: { args, shadow: "pretty.name", argsrepr: "(hidden)", kwargsrepr: "{hidden}" } },
  link: {
    options: {
      args,
      link: app.signature("tasks.mul", { args: [10] }).freeze("00000000-0000-4000-8000-000000000014"),
    },
  },
  link_error: {
    options: {
      args,
      linkError: app.signature("tasks.on_error").freeze("00000000-0000-4000-8000-000000000016"),
    },
  },
  gzip: { options: { args, compression: "gzip" } },
  reply_to: { options: { args, replyTo: "my-reply" } },
  empty_args: { task: "tasks.none", options: {} },
};

/** What may differ, and why. */
function deviations(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    ...headers,
    // Said by who sends.
    lang: "the language",
    origin: "the sender",
    // Ours leaves an unsaid ignore_result to the worker's task; Python's false turns storing back on (5.6.3).
    ignore_result: headers["ignore_result"] === true,
    // Our clock has no microseconds.
    eta: millis(headers["eta"]),
    expires: millis(headers["expires"]),
  };
}

function millis(text: unknown): unknown {
  return typeof text === "string" ? text.replace(/(\.\d{3})\d{3}/, "$1000") : text;
}

/** The compressed bytes are zlib's own affair: what they hold is compared. */
async function contentOf(message: Message): Promise<string> {
  if (message.headers["compression"] === undefined) return bodyText(message);
  const stream = new Response(message.body as Uint8Array<ArrayBuffer>).body;
  return await new Response(stream?.pipeThrough(new DecompressionStream("deflate"))).text();
}

describe.each(["5.6.2", "5.2.6"])("what is sent reads as what celery %s sends:", (version) => {
  const { cases } = load<TaskFile>(`../vectors/task-messages.amqp.celery-${version}.json`);

  test.each(Object.keys(CASES).filter((name) => cases[name] !== undefined))("%s", async (name) => {
    const { task = "tasks.add", options, clock: time } = CASES[name] as Case;
    const captured = cases[name]?.[0] as Captured;
    const { app, asked, clock } = setup({ taskDefaultQueue: "cap" });
    if (time !== undefined) clock.time = time(captured);
    const taskId = String(captured.headers["id"]);
    const replyTo = options.replyTo ?? String(captured.properties["reply_to"]);
    await app.sendTask(task, { ...options, taskId, replyTo });
    const sent = asked.batches[0]?.messages[0];
    const message = sent?.message as Message;
    const theirs = { ...captured.headers, ...(version === "5.2.6" ? MISSING_IN_5_2 : {}) };
    expect(deviations(message.headers)).toEqual(deviations(theirs));
    if (version === "5.6.2") expect(Object.keys(message.headers)).toEqual(Object.keys(theirs));
    const { content_type: contentType, content_encoding: contentEncoding, ...properties } =
      captured.properties;
    expect(message).toMatchObject({ contentType, contentEncoding });
    expect({ ...message.properties, expiration: near(message.properties["expiration"]) }).toEqual({
      ...properties,
      expiration: near(properties["expiration"]),
    });
    expect(sent?.to).toEqual({
      exchange: captured.delivery_info.exchange,
      routingKey: captured.delivery_info.routing_key,
    });
    expect(await contentOf(message)).toBe(
      await contentOf({ ...message, headers: captured.headers, body: bodyOf(captured) }),
    );
  });
});

/** Headers that 5.2.6 did not have yet (test/interop/differences.md). */
const MISSING_IN_5_2 = { replaced_task_nesting: 0, stamped_headers: null, stamps: {} };

/** Python counts the microseconds between its two readings of the clock. */
function near(expiration: unknown): unknown {
  return expiration === undefined ? undefined : Math.round(Number(expiration) / 10) * 10;
}
