import { expect, test } from "vitest";
import { resent } from "../../src/app/resend.ts";
import { copiedHeaders, freshCopy } from "../../src/protocol/copy.ts";
import { packTask, readTask } from "../../src/protocol/task.ts";

const BOUND = {
  "x-death": [{ count: 1 }],
  "x-first-death-queue": "q",
  "x-last-death-reason": "rejected",
  "x-delivery-count": 3,
  "x-acquired-count": 3,
  CC: ["elsewhere"],
  BCC: ["elsewhere"],
  "celeriac-queue": "q",
  "celeriac-route": ["", "q"],
};
const OWN = { mine: 1, cc: "mine too", "x-delay": 5, "celeriac-dead-count": 3 };

test("a copy goes without what belonged to the way of the first one, and is the same besides", () => {
  const make = () => ({
    headers: { ...BOUND, ...OWN, note: "old" },
    properties: { priority: 4, expiration: "1000", user_id: "who", reply_to: "r" },
    contentType: "application/json",
    contentEncoding: "utf-8",
    body: new Uint8Array([1, 2]),
  });
  const message = make();
  expect(freshCopy(message, { note: "new" })).toEqual({
    ...message,
    headers: { ...OWN, note: "new" },
    properties: { priority: 4, reply_to: "r" },
  });
  expect(copiedHeaders(message.headers)).toEqual({ ...OWN, note: "old" });
  expect(message).toEqual(make());
});

test("and so does a retry", async () => {
  const packed = await packTask({ task: "t.add", id: "id-1", origin: "o", replyTo: "r" });
  const message = { ...packed, headers: { ...packed.headers, ...BOUND, ...OWN } };
  const call = resent(readTask(message, new TextDecoder().decode(packed.body)), {
    queue: "q",
    retries: 1,
    eta: undefined,
    args: undefined,
    kwargs: undefined,
    options: { headers: { added: 1 } },
  });
  expect(call.options.headers).toEqual({ ...OWN, added: 1 });
});
