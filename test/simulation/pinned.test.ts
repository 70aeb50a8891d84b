/** Plans that once went wrong, as small as fast-check made them, each with what it had found. */
import { expect, test } from "vitest";
import type { Hand, Plan, Send } from "./plan.ts";
import { play } from "./scene.ts";

const SEND: Send = { at: 0, kind: "early", queue: 0, takes: 0, countdown: 0, expires: 0, insists: false };
const HAND: Hand = { from: 0, queues: [0], concurrency: 1, multiplier: 1, stops: 0, hops: 0 };

function plan(parts: Partial<Plan>): Plan {
  return { seed: 0, sends: [SEND], hands: [HAND], mishaps: [], picks: [], scatters: false, ...parts };
}

const PINNED: Readonly<Record<string, Plan>> = {
  "a consumer that stopped closed the channel of a settled message too early, and lost its other queues":
    plan({
      sends: [
        { ...SEND, at: 2200, kind: "late.once", takes: 300 },
        { ...SEND, at: 2100, kind: "late.fails", queue: 1, takes: 400 },
      ],
      hands: [{ ...HAND, queues: [0, 1, 2], concurrency: 2, stops: 2800 }],
      mishaps: [{ what: "restart", at: 2300, hops: 0, node: 0, dirty: false }],
    }),
  "a message whose link was lost as it came was held for its ETA all the same, and ran beside its redelivery":
    plan({
      sends: [{ ...SEND, countdown: 200 }],
      hands: [{ ...HAND, queues: [0, 1] }, { ...HAND, queues: [0, 2] }],
      mishaps: [{ what: "drop", at: 100, hops: 0, node: 3, flushed: true }],
    }),
  "a consumer whose link went with the last answer that it waited for never consumed again": plan({
    hands: [{ ...HAND, queues: [1] }],
    mishaps: [
      { what: "restart", at: 2500, hops: 10, node: 0, dirty: false },
      { what: "restart", at: 2500, hops: 2, node: 0, dirty: false },
    ],
  }),
  "a message that was handed out before it was on disk, and lost without having been confirmed, counted as lost":
    plan({
      sends: [{ ...SEND, at: 2500, countdown: 500 }, SEND],
      hands: [{ ...HAND, queues: [0, 2] }],
      mishaps: [{ what: "restart", at: 2500, hops: 3, node: 0, dirty: true }],
      scatters: true,
    }),
  "the same, back in its queue when the broker died": plan({
    sends: [{ ...SEND, at: 1500, kind: "late", queue: 1 }],
    hands: [{ ...HAND, queues: [1, 2] }],
    mishaps: [
      { what: "restart", at: 1500, hops: 10, node: 0, dirty: true },
      { what: "drop", at: 1500, hops: 9, node: 2, flushed: false },
    ],
    scatters: true,
  }),
  "what a killed worker held was named by no fault, as its broker was restarted before it heard of the death":
    plan({
      sends: [{ ...SEND, countdown: 1000, insists: true }, SEND],
      hands: [{ ...HAND, queues: [0, 2] }, { ...HAND, queues: [2] }],
      mishaps: [
        { what: "kill", at: 600, hops: 0, node: 1, point: undefined, after: 0, unsent: "arrives" },
        { what: "restart", at: 600, hops: 0, node: 0, dirty: false },
      ],
    }),
  "RETRY was stored late, over the FAILURE that another worker had stored meanwhile": plan({
    sends: [{ ...SEND, kind: "late.autoretries" }],
    hands: [HAND, HAND],
    mishaps: [{ what: "backendDown", at: 0, hops: 0, node: 1, lasts: 500 }],
  }),
  "a message that could not be kept for later, since its copy was refused too, was missed by the checker":
    plan({
      sends: [{ ...SEND, kind: "late.autoretries", queue: 1 }, SEND],
      hands: [{ ...HAND, queues: [1, 2] }],
      mishaps: [
        { what: "refuse", at: 0, hops: 0, node: 1, count: 2 },
        { what: "loseConfirm", at: 0, hops: 0, node: 1 },
      ],
    }),
  "what was handed out at the very instant at which its link was dropped was named by no fault": plan({
    sends: [SEND, { ...SEND, at: 200, kind: "early.retries", queue: 1 }, SEND],
    hands: [{ ...HAND, queues: [1, 2] }],
    mishaps: [
      { what: "drop", at: 500, hops: 0, node: 1, flushed: false },
      { what: "drop", at: 0, hops: 0, node: 1, flushed: false },
    ],
  }),
  "a message that the broker took back before its worker read it was missed by the checker": plan({
    sends: [{ ...SEND, at: 600 }],
    hands: [{ ...HAND, queues: [0, 2] }, { ...HAND, queues: [0, 2] }],
    mishaps: [
      { what: "freeze", at: 600, hops: 0, node: 1, lasts: 200 },
      { what: "drop", at: 700, hops: 0, node: 3, flushed: true },
    ],
  }),
};

for (const [what, pinned] of Object.entries(PINNED)) {
  test(`no more: ${what}`, async () => expect((await play(pinned)).problems).toEqual([]));
}
