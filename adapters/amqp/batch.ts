/**
 * One call of `publish`: a promise for all its verdicts, each given once, by the deadline at the latest.
 *
 * @module
 */
import type { Call, Outgoing, Verdict } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { Timer } from "../../src/lib/port.ts";
import type { Settings } from "./options.ts";
import { notSent, problemOf, unknown } from "./verdict.ts";

/** What is used of the settings. */
export type BatchSettings = Pick<Settings, "platform" | "publishTimeout" | "maxMessage">;

/** One message on its way. */
export class Publication {
  readonly outgoing: Outgoing;
  #give: ((verdict: Verdict) => void) | undefined;
  /** The outbox's `flushes` when it was written there; undefined while it waits. */
  flushes: number | undefined;

  constructor(outgoing: Outgoing, give: (verdict: Verdict) => void) {
    this.outgoing = outgoing;
    this.#give = give;
  }

  /** Whether its verdict was given. */
  get settled(): boolean {
    return this.#give === undefined;
  }

  /** Gives the verdict; only the first one counts. */
  settle(verdict: Verdict): void {
    const give = this.#give;
    this.#give = undefined;
    give?.(verdict);
  }
}

/** The verdicts of one call. */
export class Batch {
  readonly publications: readonly Publication[];
  /** All verdicts, in the order of the messages. */
  readonly verdicts: Promise<readonly Verdict[]>;
  /** Why the broker takes nothing at the moment; asked when the batch is given up. */
  blocked: () => string | undefined = () => undefined;
  constructor(outgoings: readonly Outgoing[], { signal, deadline }: Call, settings: BatchSettings) {
    const { platform: { clock }, publishTimeout, maxMessage } = settings;
    const ms = deadline === undefined ? publishTimeout : deadline - clock.now();
    const verdicts = new Array<Verdict>(outgoings.length);
    const { promise, resolve } = deferred<readonly Verdict[]>();
    let left = outgoings.length;
    let timer: Timer | undefined;
    const abort = (): void => this.giveUp("the publish was aborted");
    const finish = (): void => {
      timer?.cancel();
      signal?.removeEventListener("abort", abort);
      resolve(verdicts);
    };
    this.verdicts = promise;
    this.publications = outgoings.map((outgoing, at) =>
      new Publication(outgoing, (verdict) => {
        verdicts[at] = verdict;
        if (--left === 0) finish();
      })
    );
    const late = (): void => this.giveUp("the deadline came");
    if (left === 0) finish();
    else if (signal?.aborted === true) abort();
    else if (ms <= 0) late();
    else {
      signal?.addEventListener("abort", abort);
      // While something waits, the socket or the connecting keeps the process alive.
      timer = clock.after(ms, late, { keepAlive: false });
      for (const publication of this.publications) {
        const problem = problemOf(publication.outgoing, maxMessage);
        if (problem !== undefined) publication.settle(problem);
      }
    }
  }

  /** What has no verdict yet. */
  get due(): readonly Publication[] {
    return this.publications.filter(({ settled }) => !settled);
  }

  /** Ends it now: what was never written is known not to be stored. */
  giveUp(reason: string): void {
    const blocked = this.blocked();
    const waited = notSent(
      blocked === undefined ? reason : `${reason}; the broker takes no messages: ${blocked}`,
    );
    const sent = unknown(`${reason} before the broker confirmed it`);
    for (const publication of this.publications) {
      publication.settle(publication.flushes === undefined ? waited : sent);
    }
  }
}
