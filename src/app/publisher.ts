/**
 * Gets messages confirmed: declares their queues first, gathers what one tick sends, and reads the broker's verdicts.
 *
 * @module
 */
import type { Broker, Outgoing, Verdict } from "../broker.ts";
import { PublishError } from "../errors.ts";
import type { Clock } from "../lib/port.ts";
import type { QueuePlan } from "./inner.ts";
import type { PublishRetryPolicy } from "./settings.ts";

/** One message on its way, and whom to tell. */
export interface Job {
  /** "tasks.add[id]", for errors. */
  readonly what: string;
  readonly outgoing: Outgoing;
  readonly plan: QueuePlan | undefined;
  /** ms since the epoch. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** Whether the call names its own deadline or signal, so that it may not wait for the others of its tick. */
  readonly alone: boolean;
  readonly retry: boolean | "unknown";
  readonly policy: PublishRetryPolicy;
  tries: number;
  /** Called once, when the broker has it. */
  confirmed(): void;
  /** Called once, when it does not, or nobody knows. */
  failed(error: unknown): void;
}

/** As many messages go into one `publish` at most: a window that one verdict cannot hold up for long. */
const LARGEST_BATCH = 256;

/** Publishes for one app. */
export class Publisher {
  readonly #broker: () => Broker;
  readonly #clock: Clock;
  /** ms: the deadline of declaring. */
  readonly #patience: () => number;
  /** Queues that are declared (true), or being declared. */
  readonly #declared = new Map<string, true | Promise<void>>();
  readonly #busy = new Set<Promise<void>>();
  #gathered: Job[] = [];

  constructor(broker: () => Broker, clock: Clock, patience: () => number) {
    this.#broker = broker;
    this.#clock = clock;
    this.#patience = patience;
  }

  /** Sends it with the others of this tick. */
  publish(job: Job): void {
    const { plan } = job;
    if (plan === undefined || this.#declared.get(plan.name) === true) this.#gather(job);
    else this.#afterDeclare(plan, job);
  }

  /** Sends them as one batch, whatever its size. */
  publishAll(jobs: readonly Job[]): void {
    const plans = new Map<string, QueuePlan>();
    for (const { plan } of jobs) {
      if (plan !== undefined && this.#declared.get(plan.name) !== true) plans.set(plan.name, plan);
    }
    if (plans.size === 0) return this.#send(jobs);
    this.#track(
      Promise.all([...plans.values()].map((plan) => this.#declare(plan))).then(
        () => this.#send(jobs),
        (error: unknown) => jobs.forEach((job) => job.failed(error)),
      ),
    );
  }

  /** Resolves when nothing is on its way any more. */
  async idle(): Promise<void> {
    this.#flush();
    while (this.#busy.size > 0) {
      await Promise.all(this.#busy);
      this.#flush();
    }
  }

  /** After the broker was closed nothing counts as declared. */
  forget(): void {
    this.#declared.clear();
  }

  #afterDeclare(plan: QueuePlan, job: Job): void {
    let waits = true;
    const leave = (error: unknown): void => {
      if (!waits) return;
      waits = false;
      job.failed(error);
    };
    const declared = this.#declare(plan);
    // What names its own deadline or signal does not wait longer than it says for the declaration that all share.
    const alarm = job.alone ? this.#alarm(job, leave) : undefined;
    this.#track(declared.then(
      () => {
        alarm?.();
        if (waits) this.#gather(job);
        waits = false;
      },
      (error: unknown) => {
        alarm?.();
        leave(error);
      },
    ));
  }

  #alarm({ signal, deadline, what }: Job, leave: (error: unknown) => void): () => void {
    const onAbort = (): void => leave(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer = this.#clock.after(deadline - this.#clock.now(), () => {
      leave(new PublishError("publish-refused", `${what} was not sent: its queue was not declared in time.`));
    });
    return () => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
  }

  #declare(plan: QueuePlan): Promise<void> {
    const known = this.#declared.get(plan.name);
    if (known === true) return Promise.resolve();
    if (known !== undefined) return known;
    const declaring = this.#broker().declare(plan.entities, {
      deadline: this.#clock.now() + this.#patience(),
    }).then(
      () => {
        this.#declared.set(plan.name, true);
      },
      (error: unknown) => {
        this.#declared.delete(plan.name);
        throw error;
      },
    );
    this.#declared.set(plan.name, declaring);
    return declaring;
  }

  #gather(job: Job): void {
    if (job.alone) return this.#send([job]);
    if (this.#gathered.push(job) === 1) this.#clock.soon(() => this.#flush());
    else if (this.#gathered.length >= LARGEST_BATCH) this.#flush();
  }

  #flush(): void {
    const jobs = this.#gathered;
    this.#gathered = [];
    if (jobs.length > 0) this.#send(jobs);
  }

  #send(jobs: readonly Job[]): void {
    const [first] = jobs;
    if (first === undefined) return;
    const { signal } = first;
    const call = signal === undefined ? { deadline: first.deadline } : { deadline: first.deadline, signal };
    let published: Promise<readonly Verdict[]>;
    try {
      published = this.#broker().publish(jobs.map((job) => job.outgoing), call);
    } catch (error) {
      jobs.forEach((job) => job.failed(error));
      return;
    }
    this.#track(published.then(
      (verdicts) => jobs.forEach((job, at) => this.#settle(job, verdicts[at])),
      (error: unknown) => jobs.forEach((job) => job.failed(error)),
    ));
  }

  #settle(job: Job, verdict: Verdict | undefined): void {
    if (verdict?.is === "confirmed") return job.confirmed();
    if (job.signal?.aborted === true) return job.failed(job.signal.reason);
    if (this.#mayRepeat(job, verdict)) return this.#repeat(job, verdict);
    job.failed(refusal(job, verdict));
  }

  #mayRepeat(job: Job, verdict: Verdict | undefined): boolean {
    if (job.retry === false || job.tries >= job.policy.maxRetries) return false;
    return verdict?.is === "refused" ? verdict.retry : verdict?.is === "unknown" && job.retry === "unknown";
  }

  /** Waits as kombu's `retry_over_time` does: start, start + step, … up to the maximum, but never past the deadline. */
  #repeat(job: Job, verdict: Verdict | undefined): void {
    const { intervalStart, intervalStep, intervalMax } = job.policy;
    const wait = Math.min(intervalStart + intervalStep * job.tries, intervalStart + intervalMax);
    if (this.#clock.now() + wait >= job.deadline) return job.failed(refusal(job, verdict));
    job.tries++;
    this.#track(
      new Promise<void>((resolve) => {
        this.#clock.after(wait, () => {
          if (job.signal?.aborted === true) job.failed(job.signal.reason);
          else this.#gather(job);
          resolve();
        });
      }),
    );
  }

  #track(work: Promise<void>): void {
    this.#busy.add(work);
    void work.finally(() => this.#busy.delete(work));
  }
}

function refusal({ what, outgoing: { to } }: Job, verdict: Verdict | undefined): PublishError {
  if (verdict?.is === "unroutable") {
    return new PublishError(
      "publish-unroutable",
      `${what} is in no queue: nothing is bound to exchange ${JSON.stringify(to.exchange)} for the key ${
        JSON.stringify(to.routingKey)
      }.`,
    );
  }
  if (verdict?.is === "refused") {
    return new PublishError("publish-refused", `${what} was refused by the broker: ${verdict.reason}.`);
  }
  const reason = verdict?.is === "unknown" ? verdict.reason : "the broker gave no verdict";
  return new PublishError("publish-unknown", `Nobody knows whether ${what} is in the broker: ${reason}.`, {
    hint: 'A repeat may double it; ask for that with { retry: "unknown" }.',
  });
}
