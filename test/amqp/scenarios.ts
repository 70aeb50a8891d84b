/**
 * Scenarios of faults, each played as it is on the simulation and on real servers.
 *
 * @module
 */
import { began, dead, ran, seen, send, type Stage } from "./stages.ts";

/** What is done, and what must become of the tasks. */
export interface Scenario {
  play(stage: Stage): Promise<void>;
  readonly fates: readonly string[];
  /** What the judge says beside that nothing was lost, doubled or broken. */
  readonly verdict?: {
    readonly duplicates?: "explained";
    readonly recovered?: number;
    readonly forfeited?: number;
  };
  /** The faults as they must stand in the history. */
  readonly faults: string;
}

/** Each stands for what was expected and did not happen. */
function demand(is: boolean, what: string): void {
  if (!is) throw new Error(what);
}

/** One for each fault, by what it is about. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "a link that is cut while a task runs, and healed": {
    async play(stage) {
      const worker = await stage.start();
      await send(stage, "late", 0, { held: true });
      await began(stage, 0);
      await stage.fault.cut(worker);
      await send(stage, "late", 1);
      await stage.release(0);
      await stage.until("0 has ended", () => seen(stage, 0, "ended") === 1);
      demand(seen(stage, 1, "delivered") === 0, "1 came through a link that is cut");
      await stage.fault.heal(worker);
      await ran(stage, 0, 2);
      await ran(stage, 1);
    },
    fates: ["late: 2 begun, 2 ended, SUCCESS", "late: 1 begun, 1 ended, SUCCESS"],
    verdict: { duplicates: "explained" },
    faults: "cut heal",
  },
  "a link that is cut while its worker is idle, and healed": {
    async play(stage) {
      const worker = await stage.start();
      await send(stage, "late", 0);
      await ran(stage, 0);
      await stage.fault.cut(worker);
      await send(stage, "early", 1);
      await send(stage, "late", 2);
      demand(seen(stage, 1, "delivered") === 0, "1 came through a link that is cut");
      await stage.fault.heal(worker);
      await ran(stage, 1);
      await ran(stage, 2);
    },
    fates: [
      "late: 1 begun, 1 ended, SUCCESS",
      "early: 1 begun, 1 ended, SUCCESS",
      "late: 1 begun, 1 ended, SUCCESS",
    ],
    faults: "cut heal",
  },
  "a link that breaks once": {
    async play(stage) {
      const worker = await stage.start();
      await send(stage, "late", 0, { held: true });
      await began(stage, 0);
      await stage.fault.drop(worker);
      await stage.release(0);
      await ran(stage, 0, 2);
    },
    fates: ["late: 2 begun, 2 ended, SUCCESS"],
    verdict: { duplicates: "explained" },
    faults: "drop",
  },
  "acks that are lost": {
    async play(stage) {
      const worker = await stage.start();
      for (const [number, task] of (["early", "late"] as const).entries()) {
        await stage.fault.loseAck(worker);
        await send(stage, task, number);
        await ran(stage, number, 2);
      }
    },
    fates: ["early: 2 begun, 2 ended, SUCCESS", "late: 2 begun, 2 ended, SUCCESS"],
    verdict: { duplicates: "explained" },
    faults: "loseAck",
  },
  "a confirm that is lost": {
    async play(stage) {
      await stage.start();
      await stage.fault.loseConfirm("client");
      demand(await send(stage, "early", 0) === "unknown", "the confirm was not lost");
      await ran(stage, 0);
      demand(await send(stage, "early", 1) === "sent", "a second confirm was lost");
      await ran(stage, 1);
    },
    fates: ["early: 1 begun, 1 ended, SUCCESS", "early: 1 begun, 1 ended, SUCCESS"],
    verdict: { recovered: 1 },
    faults: "loseConfirm",
  },
  "a link that is frozen, and thaws": {
    async play(stage) {
      const worker = await stage.start();
      await send(stage, "late", 0, { held: true });
      await began(stage, 0);
      await stage.fault.freeze(worker);
      await send(stage, "late", 1);
      await stage.release(0);
      await stage.until("0 has ended", () => seen(stage, 0, "ended") === 1);
      demand(seen(stage, 1, "delivered") === 0, "1 came through a link that is frozen");
      await stage.fault.thaw(worker);
      await ran(stage, 0);
      await ran(stage, 1);
    },
    fates: ["late: 1 begun, 1 ended, SUCCESS", "late: 1 begun, 1 ended, SUCCESS"],
    faults: "freeze thaw",
  },
  "publishes that are refused": {
    async play(stage) {
      await stage.start();
      await stage.fault.refuse("client");
      demand(await send(stage, "early", 0) === "sent", "one refusal was not repeated");
      // The policy repeats three times.
      await stage.fault.refuse("client", 4);
      demand(await send(stage, "early", 1) === "refused", "the refusals were not told");
      demand(await send(stage, "late", 2) === "sent", "one publish too many was refused");
      await ran(stage, 0);
      await ran(stage, 2);
    },
    fates: [
      "early: 1 begun, 1 ended, SUCCESS",
      "early: 0 begun, 0 ended, none",
      "late: 1 begun, 1 ended, SUCCESS",
    ],
    faults: "refuse",
  },
  "confirms that are scattered": {
    async play(stage) {
      await stage.start();
      await stage.fault.scatterConfirms("client");
      const numbers = Array.from({ length: 12 }, (_, number) => number);
      const sent = await stage.sendAll(numbers.map((number) => ({ task: "early", number })));
      demand(sent.every((one) => one === "sent"), `some were said to be ${sent.join(", ")}`);
      await stage.fault.scatterConfirms("client", false);
      for (const number of numbers) await ran(stage, number);
    },
    fates: Array.from({ length: 12 }, () => "early: 1 begun, 1 ended, SUCCESS"),
    faults: "scatterConfirms",
  },
  "a message that is doubled": {
    async play(stage) {
      await stage.start();
      await send(stage, "early", 0);
      await send(stage, "late", 1);
      await ran(stage, 1);
      await stage.fault.duplicate();
      await ran(stage, 1, 2);
      await stage.fault.duplicate(stage.idOf(0));
      await ran(stage, 0, 2);
    },
    fates: ["early: 2 begun, 2 ended, SUCCESS", "late: 2 begun, 2 ended, SUCCESS"],
    verdict: { duplicates: "explained" },
    faults: "duplicate",
  },
  "a result backend that is out of reach for a while": {
    async play(stage) {
      const worker = await stage.start();
      await stage.fault.backendDown(worker);
      await send(stage, "early", 0);
      await send(stage, "late", 1);
      await stage.until("both are acked", () => seen(stage, 0, "settled") + seen(stage, 1, "settled") === 2);
      demand(await stage.state(0) === "none" && await stage.state(1) === "none", "a result was stored");
      demand(seen(stage, 0, "told") > 0 && seen(stage, 1, "told") > 0, "nobody was told");
      await stage.fault.backendUp(worker);
      await ran(stage, 0);
      await ran(stage, 1);
    },
    fates: ["early: 1 begun, 1 ended, SUCCESS", "late: 1 begun, 1 ended, SUCCESS"],
    faults: "backendDown backendUp",
  },
  "a clock that is wrong": {
    async play(stage) {
      const worker = await stage.start();
      // An hour ahead, half an hour is over: what expires then has expired, what is due then is due.
      await stage.fault.skew(worker, "1h");
      await send(stage, "early", 0, { expires: 1800 });
      await stage.until("0 is dismissed", () => seen(stage, 0, "dismissed") === 1);
      await send(stage, "late", 1, { countdown: 1800 });
      await ran(stage, 1);
      await stage.fault.skew(worker, "1h", "back");
      await send(stage, "late", 2, { expires: 1800 });
      await ran(stage, 2);
      await stage.fault.skew(worker, 0);
      await send(stage, "early", 3, { expires: 1800 });
      await ran(stage, 3);
    },
    fates: [
      "early: 0 begun, 0 ended, REVOKED",
      "late: 1 begun, 1 ended, SUCCESS",
      "late: 1 begun, 1 ended, SUCCESS",
      "early: 1 begun, 1 ended, SUCCESS",
    ],
    faults: "skew",
  },
  "a worker that is killed in the run": {
    async play(stage) {
      for (const [number, task] of (["early", "late"] as const).entries()) {
        const worker = await stage.start();
        await send(stage, task, number, { held: true });
        await began(stage, number);
        await stage.fault.kill(worker);
        await dead(stage, worker);
      }
      await stage.start();
      await stage.release(1);
      await ran(stage, 1);
    },
    fates: ["early: 1 begun, 0 ended, none", "late: 2 begun, 1 ended, SUCCESS"],
    verdict: { duplicates: "explained" },
    faults: "kill",
  },
  "a worker that is killed with its retry sent": {
    async play(stage) {
      let worker = await stage.start();
      // Acked late, the message comes again beside its retry, and is retried once more.
      for (const [number, [task, runs]] of ([["early", 2], ["late", 4]] as const).entries()) {
        await stage.fault.kill(worker, { at: "followed" });
        await send(stage, task, number, { retried: true });
        await dead(stage, worker);
        worker = await stage.start();
        await stage.until(
          `${number} has run, ${runs} times`,
          async () => seen(stage, number, "ended") >= runs && await stage.state(number) === "SUCCESS",
        );
      }
    },
    fates: ["early: 2 begun, 2 ended, SUCCESS", "late: 4 begun, 4 ended, SUCCESS"],
    verdict: { duplicates: "explained" },
    faults: "kill",
  },
};

/** Those that come out alike on a Redis. There a run whose link breaks goes on under its lease, and its ack waits for the link. */
export const ON_REDIS: readonly string[] = [
  "a link that is cut while its worker is idle, and healed",
  "a link that is frozen, and thaws",
  "a message that is doubled",
  "a result backend that is out of reach for a while",
  "a clock that is wrong",
  "a worker that is killed in the run",
  "a worker that is killed with its retry sent",
];

/** The broker goes down, and comes back. */
export function restarting(dirty: boolean): Scenario {
  return {
    async play(stage) {
      await stage.start();
      await send(stage, "late", 0, { held: true });
      await began(stage, 0);
      await send(stage, "early", 1);
      await stage.until("1 has been handed out", () => seen(stage, 1, "delivered") === 1);
      await stage.fault.restart({ dirty });
      await stage.release(0);
      await ran(stage, 0, 2);
      await send(stage, "late", 2);
      await ran(stage, 1);
      await ran(stage, 2);
    },
    fates: [
      "late: 2 begun, 2 ended, SUCCESS",
      "early: 1 begun, 1 ended, SUCCESS",
      "late: 1 begun, 1 ended, SUCCESS",
    ],
    verdict: { duplicates: "explained" },
    faults: "restart",
  };
}
