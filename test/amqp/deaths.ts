/**
 * Scenarios of a worker's death at each named point of a task's way.
 *
 * @module
 */
import type { Point } from "../../src/worker/probe.ts";
import type { Scenario } from "./scenarios.ts";
import { dead, send } from "./stages.ts";

/** What becomes of a task acked early, and of one acked late, whose worker dies at each point of its way. */
const FATES: Readonly<Record<Point | "afterSettle, unsent", readonly [early: string, late: string]>> = {
  accepted: ["0 begun, 0 ended, none, next 0 begun", "1 begun, 1 ended, SUCCESS, next 1 begun"],
  started: ["1 begun, 0 ended, none, next 0 begun", "2 begun, 1 ended, SUCCESS, next 1 begun"],
  ended: ["1 begun, 1 ended, none, next 0 begun", "2 begun, 2 ended, SUCCESS, next 1 begun"],
  followed: ["1 begun, 1 ended, none, next 1 begun", "2 begun, 2 ended, SUCCESS, next 2 begun"],
  stored: ["1 begun, 1 ended, SUCCESS, next 1 begun", "2 begun, 2 ended, SUCCESS, next 2 begun"],
  beforeSettle: ["1 begun, 1 ended, SUCCESS, next 1 begun", "2 begun, 2 ended, SUCCESS, next 2 begun"],
  afterSettle: ["1 begun, 1 ended, SUCCESS, next 1 begun", "1 begun, 1 ended, SUCCESS, next 1 begun"],
  "afterSettle, unsent": [
    "1 begun, 1 ended, SUCCESS, next 1 begun",
    "2 begun, 2 ended, SUCCESS, next 2 begun",
  ],
};

/** The points; at the last one also with the late ack not written yet. */
export const DEATHS = Object.keys(FATES) as readonly Death[];

/** Where a worker dies. */
type Death = keyof typeof FATES;

/** A worker dies at that point of a task acked early, another one at that of one acked late; a third one does what is left. */
export function dying(death: Death): Scenario {
  const [early, late] = FATES[death];
  const [at, unsent] = death === "afterSettle, unsent" ? ["afterSettle", "lost"] as const : [death] as const;
  return {
    async play(stage) {
      for (const [number, task] of (["early", "late"] as const).entries()) {
        const worker = await stage.start();
        await stage.fault.kill(worker, { at, ...(unsent === undefined ? {} : { unsent }) });
        await send(stage, task, number, { linked: true });
        await dead(stage, worker);
      }
      await stage.start({ last: true });
    },
    fates: [`early: ${early}`, `late: ${late}`],
    // The task behind it has one id: what was sent twice is two messages of it.
    verdict: {
      ...(death === "accepted" || death === "afterSettle" ? {} : { duplicates: "explained" }),
      ...(at === "accepted" ? { forfeited: 1 } : {}),
    },
    faults: "kill",
  };
}
