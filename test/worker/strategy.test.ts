import { describe, expect, test } from "vitest";
import type { TaskDefinition } from "../../src/app/inner.ts";
import { ContentDisallowedError, DecodeError, InvalidTaskError } from "../../src/errors.ts";
import { type Embed, NO_EMBED, type WireSignature } from "../../src/protocol/signature.ts";
import type { TaskRequest } from "../../src/protocol/task.ts";
import { decide, decideUnread, type Patience, putOff } from "../../src/worker/strategy.ts";

const NOW = 1_000_000;

const TASK = { name: "t.add" } as TaskDefinition;

function request(changes: Partial<TaskRequest> = {}): TaskRequest {
  return { task: "t.add", id: "1", eta: null, expires: null, embed: NO_EMBED, ...changes } as TaskRequest;
}

function signature(changes: Partial<WireSignature> = {}): WireSignature {
  return {
    task: "t.next",
    args: [],
    kwargs: {},
    options: {},
    subtask_type: null,
    immutable: false,
    ...changes,
  };
}

function embed(changes: Partial<Embed>): Partial<TaskRequest> {
  return { embed: { ...NO_EMBED, ...changes } };
}

const group = signature({ task: "celery.group", subtask_type: "group" });
const counted = signature({ options: { chord: signature() } });

describe("a task that was read", () => {
  test.each<[string, Partial<TaskRequest>, Record<string, unknown>]>([
    ["runs", {}, { do: "run" }],
    ["with an ETA that is past runs", { eta: NOW - 1 }, { do: "run" }],
    ["with an ETA of now runs", { eta: NOW }, { do: "run" }],
    ["with an ETA to come is held until then", { eta: NOW + 1 }, { do: "hold", until: NOW + 1 }],
    ["that is to expire runs", { expires: NOW + 1 }, { do: "run" }],
    ["that expires now still runs, as Celery has it", { expires: NOW }, { do: "run" }],
    ["that has expired is discarded", { expires: NOW - 1 }, { do: "discard", why: "expired" }],
    [
      "that has expired is not held for its ETA",
      { expires: NOW - 1, eta: NOW + 9 },
      { do: "discard", why: "expired" },
    ],
    [
      "with links, error links and a chain of plain tasks runs",
      embed({ callbacks: [signature()], errbacks: [signature()], chain: [signature()] }),
      { do: "run" },
    ],
    ["in a chord is refused", embed({ chord: signature() }), {
      do: "refuse",
      reason: "it is part of a chord",
    }],
    ["with a group as link is refused", embed({ callbacks: [signature(), group] }), {
      do: "refuse",
      reason: "its link holds a group",
    }],
    ["with a chain as error link is refused", embed({ errbacks: [signature({ subtask_type: "chain" })] }), {
      do: "refuse",
      reason: "its link_error holds a chain",
    }],
    ["whose chain goes on with a group is refused", embed({ chain: [signature(), group] }), {
      do: "refuse",
      reason: "its chain holds a group",
    }],
    [
      "whose chain ends in a group that another worker will send runs",
      embed({ chain: [group, signature()] }),
      { do: "run" },
    ],
    ["whose chain is counted by a chord is refused", embed({ chain: [counted, signature()] }), {
      do: "refuse",
      reason: "its chain is part of a chord",
    }],
    ["with a link that is counted by a chord is refused", embed({ callbacks: [counted] }), { do: "refuse" }],
    ["that is refused is not held first", { ...embed({ chord: signature() }), eta: NOW + 9 }, {
      do: "refuse",
    }],
    [
      "that is refused but has expired is discarded",
      { ...embed({ chord: signature() }), expires: NOW - 9 },
      { do: "discard" },
    ],
  ])("%s", (_what, changes, expected) => {
    expect(decide(request(changes), TASK, NOW)).toMatchObject({ ...expected, task: TASK });
  });

  test("that nobody has registered is rejected, even when it has expired", () => {
    expect(decide(request({ expires: 1 }), undefined, NOW)).toEqual({ do: "reject", why: "unregistered" });
  });
});

test.each([
  ["no task message", new InvalidTaskError("task-unknown-message", "x"), { do: "reject", why: "unknown" }],
  ["a field that makes no sense", new InvalidTaskError("task-invalid", "x"), {
    do: "reject",
    why: "invalid",
  }],
  ["refused content", new ContentDisallowedError("content-disallowed", "x"), {
    do: "reject",
    why: "content",
  }],
  ["broken JSON", new DecodeError("decode-json", "x"), { do: "drop", why: "undecodable" }],
  ["a fault of ours", new TypeError("x"), { do: "reject", why: "invalid" }],
])("a message with %s is settled as Celery does", (_what, error, decision) => {
  expect(decideUnread(error)).toEqual(decision);
});

describe("a task whose time has not come", () => {
  const DAY = 86_400_000;
  const usual: Patience = { near: 5000, room: 2, longest: 28 * DAY };
  const day27 = NOW + Math.floor(28 * DAY * 0.99);

  test.each<[string, number, number, Partial<Patience>, ReturnType<typeof putOff>]>([
    ["due soon is held", 5000, 0, {}, { as: "hold" }],
    ["due later is parked", 5001, 0, {}, { as: "park", until: NOW + 5001 }],
    ["due soon is parked where enough are held", 5000, 2, {}, { as: "park", until: NOW + 5000 }],
    ["is parked where none is to be held", 1, 0, { room: 0 }, { as: "park", until: NOW + 1 }],
    ["due beyond the longest park is parked for less than that", 400 * DAY, 0, {}, {
      as: "park",
      until: day27,
    }],
    ["is held where the broker cannot park", 400 * DAY, 99, { longest: 0 }, { as: "hold" }],
  ])("%s", (_, wait, held, patience, expected) => {
    expect(putOff(NOW + wait, NOW, held, { ...usual, ...patience })).toEqual(expected);
  });
});
