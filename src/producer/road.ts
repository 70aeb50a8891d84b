/**
 * Gets messages confirmed: gathers what one tick sends, has the broker declare their queues, and reads its verdicts.
 *
 * @module
 */
import type { Entity, Outgoing, PublishBroker, Verdict } from "../broker.ts";
import { EncodeError, PublishError } from "../errors.ts";
import { toMs } from "../lib/duration.ts";
import type { Clock } from "../lib/port.ts";
import type { Message } from "../protocol/message.ts";
import type { CallOptions } from "../result/sender.ts";
import type { Route } from "./route.ts";
import type { Effort, PublishRetryPolicy } from "./settings.ts";

/** A packed message, and what its call says of the way. */
export interface Parcel<R> {
  readonly name: string;
  readonly id: string;
  readonly options: Pick<CallOptions, "retry" | "signal" | "timeout">;
  /** How it is repeated. @default the sender's own */
  readonly policy?: PublishRetryPolicy | undefined;
  readonly route: Route;
  readonly message: Message;
  /** When it was packed, ms since the epoch. */
  readonly now: number;
  /** Called once, when the broker has it: what the caller gets. */
  sent(): R;
}

/**
 * The way of one sender's messages. Where a link lives for one call (`features.link`), nothing is kept between calls: no promise, and no
 * word on what was declared.
 */
export interface Road {
  /** Resolves once the broker confirmed. What `pack` throws is the promise's rejection. */
  send<R>(pack: () => Parcel<R>): Promise<R>;
  /** One batch, whatever its size; what cannot be packed fails alone, and what names its own deadline or signal goes alone. */
  sendMany<R>(packs: readonly (() => Parcel<R>)[]): Promise<PromiseSettledResult<R>[]>;
  /**
   * Waits until nothing is on its way any more (not where a link lives for one call: no call waits for another's), calls `close`, and
   * takes nothing for declared from then on.
   */
  close(close: () => Promise<void>): Promise<void>;
}

/** A parcel on its way, and whom to tell. */
interface Job extends Parcel<unknown> {
  readonly outgoing: Outgoing;
  /** ms since the epoch. */
  readonly deadline: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  tries: number;
}

type Refusal = Exclude<Verdict, { is: "confirmed" }>;

/** As many messages go into one `publish` at most: a window that one verdict cannot hold up for long. */
const LARGEST_BATCH = 256;

/** Makes a road; `broker` and `effort` are asked anew for each message. */
export function makeRoad(clock: Clock, broker: () => PublishBroker, effort: () => Effort): Road {
  /** What the broker has declared, and declares again by itself where that is due. */
  const declared = new Set<readonly Entity[]>();
  const busy = new Set<Promise<void>>();
  const gathered: Job[] = [];

  const isShared = (): boolean => broker().features.link === "shared";

  /** Packs, and puts the job into the batch; what names its own deadline or signal may not wait for the others, and goes at once. */
  const start = <R>(pack: () => Parcel<R>, batch: Job[]): Promise<R> =>
    new Promise((resolve, reject) => {
      const parcel = pack();
      const { options: { signal, timeout }, route: { to, mustRoute }, message, now } = parcel;
      const { features: { maxMessage } } = broker();
      const { body: { length } } = message;
      signal?.throwIfAborted();
      if (length > maxMessage) {
        throw new EncodeError(
          "encode-too-large",
          `${nameOf(parcel)} is ${length} bytes, and the broker takes ${maxMessage}.`,
          { hint: "Send a reference to the data, or compress it." },
        );
      }
      const job: Job = {
        ...parcel,
        outgoing: { message, to, mustRoute },
        deadline: now + (timeout === undefined ? effort().timeout : toMs(timeout, "timeout")),
        resolve,
        reject,
        tries: 0,
      };
      if (signal === undefined && timeout === undefined) batch.push(job);
      else go([job]);
    });

  const go = (jobs: readonly Job[]): void => {
    if (jobs.length === 0) return;
    const work = publish(jobs);
    if (!isShared()) return;
    busy.add(work);
    void work.then(() => busy.delete(work));
  };

  const flush = (): void => go(gathered.splice(0));

  /** Ends with the last of the jobs. A repeat waits as in kombu's `retry_over_time`, but never past its deadline. */
  const publish = async (jobs: readonly Job[]): Promise<void> => {
    const [{ deadline, options: { signal } }] = jobs as [Job];
    const queues = new Set(jobs.map(({ route }) => route.entities));
    const declare = [...queues].flatMap((entities) => declared.has(entities) ? [] : entities);
    const fail = ({ reject }: Job, error: unknown): void =>
      reject(signal?.aborted === true ? signal.reason : error);
    let verdicts: readonly Verdict[];
    try {
      verdicts = await broker().publish(jobs.map(({ outgoing }) => outgoing), {
        deadline,
        ...(signal && { signal }),
        ...(declare.length > 0 && { declare }),
      });
    } catch (error) {
      if (queues.size === 1) return jobs.forEach((job) => fail(job, error));
      // Nothing was sent: a queue that cannot be declared takes no messages of other queues along.
      const apart = [...queues].map((each) => jobs.filter(({ route }) => route.entities === each));
      return void await Promise.all(apart.map(publish));
    }
    if (isShared()) { for (const entities of queues) declared.add(entities); }
    const again = new Map<number, Job[]>();
    for (const [at, job] of jobs.entries()) {
      const { options: { retry = effort().retry }, policy = effort().policy, tries } = job;
      const verdict = verdicts[at] ?? { is: "unknown", reason: "the broker gave no verdict" };
      const wait = policy.intervalStart + Math.min(policy.intervalStep * tries, policy.intervalMax);
      const mayHelp = verdict.is === "refused" ? retry !== false && verdict.retry : verdict.is === retry;
      if (verdict.is === "confirmed") job.resolve(job.sent() as never);
      else if (
        mayHelp && signal?.aborted !== true && tries < policy.maxRetries && clock.now() + wait < deadline
      ) {
        job.tries++;
        again.set(wait, again.get(wait) ?? []).get(wait)?.push(job);
      } else fail(job, refusal(job, verdict));
    }
    await Promise.all([...again].map(async ([wait, late]) => {
      await new Promise<void>((resolve) => clock.after(wait, resolve));
      await publish(late);
    }));
  };

  return {
    send(pack) {
      const sent = start(pack, gathered);
      if (gathered.length >= LARGEST_BATCH) flush();
      else if (gathered.length === 1) clock.soon(flush);
      return sent;
    },
    sendMany(packs) {
      const batch: Job[] = [];
      const sent = packs.map((pack) => start(pack, batch));
      go(batch);
      return Promise.allSettled(sent);
    },
    async close(close) {
      flush();
      await Promise.all(busy);
      await close();
      declared.clear();
    },
  };
}

function nameOf({ name, id }: Parcel<unknown>): string {
  return `Task ${name}[${id}]`;
}

function refusal(job: Job, verdict: Refusal): PublishError {
  const what = nameOf(job);
  if (verdict.is === "unroutable") {
    return new PublishError(
      "publish-unroutable",
      `${what} is in no queue: nothing is bound to ${JSON.stringify(job.route.to)}.`,
    );
  }
  return verdict.is === "refused"
    ? new PublishError("publish-refused", `${what} was refused by the broker: ${verdict.reason}.`)
    : new PublishError(
      "publish-unknown",
      `Nobody knows whether ${what} is in the broker: ${verdict.reason}.`,
      {
        hint: 'A repeat may double it; ask for that with { retry: "unknown" }.',
      },
    );
}
