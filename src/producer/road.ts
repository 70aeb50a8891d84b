/**
 * Gets messages confirmed: one publish of a batch, its verdicts, and their repeats.
 *
 * @module
 */
import type { Entity, Outgoing, PublishBroker, Verdict } from "../broker.ts";
import { type CeleriacError, EncodeError, PublishError } from "../errors.ts";
import { toMs } from "../lib/duration.ts";
import { pause } from "../lib/pause.ts";
import type { Clock } from "../lib/port.ts";
import type { CallOptions } from "../result/sender.ts";
import { demand } from "../lib/demand.ts";
import type { Route } from "./route.ts";
import type { Effort, PublishRetryPolicy } from "./settings.ts";

/** A packed message with its route, and what its call says of the way. */
export interface Parcel<R> extends Outgoing, Route {
  /** The task's name and id, for messages. */
  readonly what: string;
  readonly options: Pick<CallOptions, "retry" | "retryPolicy" | "signal" | "timeout">;
  /** How it is repeated. @default the sender's own */
  readonly policy?: PublishRetryPolicy;
  /** When it was packed, ms since the epoch. */
  readonly now: number;
  /** Called once, when the broker has it: what the caller gets. */
  sent(): R;
}

/** A parcel on its way, and whom to tell. */
export interface Job extends Parcel<unknown> {
  /** Which refusals are repeated. */
  readonly retry: NonNullable<CallOptions["retry"]>;
  readonly policy: PublishRetryPolicy;
  /** ms since the epoch. */
  readonly deadline: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** What a sender publishes with. */
export interface Way {
  readonly clock: Pick<Clock, "after" | "now">;
  broker(): PublishBroker;
  /** Of calls that say nothing themselves. */
  effort(): Effort;
  /**
   * Asks the broker once. Undefined: each of the jobs was told already. What it throws is the failure of all.
   *
   * @default askBroker
   */
  ask?(jobs: readonly Job[]): Promise<readonly Verdict[] | undefined>;
}

type Refusal = Exclude<Verdict, { is: "confirmed" }>;

/** Packs, and puts the job where it goes from. Resolves once the broker confirmed; what `pack` throws is the rejection. */
export function start<R>(
  way: Way,
  pack: () => Parcel<R>,
  put: (job: Job) => void,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const parcel = pack();
    const effort = way.effort();
    const { options: { retry = effort.retry, signal, timeout }, message: { body: { length } }, now } = parcel;
    const { features: { maxMessage } } = way.broker();
    signal?.throwIfAborted();
    demand(retry === "unknown" || typeof retry === "boolean", "retry", 'true, false or "unknown"');
    if (length > maxMessage) {
      throw new EncodeError(
        "encode-too-large",
        `Publishing ${parcel.what} takes ${length} bytes of at most ${maxMessage}.`,
      );
    }
    const deadline = now + (timeout === undefined ? effort.timeout : toMs(timeout, "timeout"));
    put({ ...effort, ...parcel, retry, deadline, resolve, reject });
  });
}

/** Whether it names its own deadline or signal, and so may not wait for the others. */
export function isAlone({ options: { signal, timeout } }: Parcel<unknown>): boolean {
  return (signal ?? timeout) !== undefined;
}

/** Has the broker declare what the jobs need, or what is named, and publish them as one batch. */
export function askBroker(
  way: Way,
  jobs: readonly Job[],
  declare: readonly Entity[] = [...new Set(jobs.flatMap(({ entities }) => entities))],
): Promise<readonly Verdict[]> {
  const [{ deadline, options: { signal } }] = jobs as readonly [Job];
  return way.broker().publish(jobs, { deadline, signal, declare });
}

/**
 * Ends with the last of the jobs, which have one policy and one deadline. A repeat waits as in kombu's `retry_over_time`, but never past the
 * deadline or the signal.
 */
export async function publish(way: Way, jobs: readonly Job[], tries = 0): Promise<void> {
  const [{ deadline, policy, options: { signal } }] = jobs as readonly [Job];
  const again: Job[] = [];
  const wait = policy.intervalStart + Math.min(policy.intervalStep * tries, policy.intervalMax);
  const fail = (job: Job, error: unknown, mayHelp: unknown): void => {
    if (signal?.aborted) job.reject(signal.reason);
    else if (mayHelp && tries < policy.maxRetries && way.clock.now() + wait < deadline) again.push(job);
    else job.reject(error);
  };
  try {
    signal?.throwIfAborted();
    const verdicts = await (way.ask?.(jobs) ?? askBroker(way, jobs));
    if (verdicts === undefined) return;
    jobs.forEach((job, at) => {
      const verdict = verdicts[at] ?? { is: "unknown", reason: "no verdict" };
      if (verdict.is === "confirmed") job.resolve(job.sent() as never);
      else {
        const mayHelp = verdict.is === "refused" ? job.retry && verdict.retry : verdict.is === job.retry;
        fail(job, refusal(job, verdict), mayHelp);
      }
    });
  } catch (error) {
    // Without a connection nothing was sent.
    const mayHelp = /^broker-(unreachable|lost|timeout)$/.test(
      (error as CeleriacError | undefined)?.code as string,
    );
    for (const job of jobs) fail(job, error, job.retry && mayHelp);
  }
  if (again.length === 0) return;
  await pause(way.clock, wait, signal);
  await publish(way, again, tries + 1);
}

function refusal({ what, to }: Job, verdict: Refusal): PublishError {
  const why = verdict.is === "unroutable" ? `no queue takes ${JSON.stringify(to)}` : verdict.reason;
  return new PublishError(`publish-${verdict.is}`, `Publishing ${what} is ${verdict.is}: ${why}.`, {
    cause: verdict,
  });
}
