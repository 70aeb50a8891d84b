/**
 * The road of an app's messages: gathers what one tick sends, and has each queue declared once.
 *
 * @module
 */
import type { Entity, PublishBroker } from "../broker.ts";
import { ConfigurationError } from "../errors.ts";
import type { Clock } from "../lib/port.ts";
import { askBroker, isAlone, type Job, type Parcel, publish, start, type Way } from "../producer/road.ts";
import type { Effort } from "../producer/settings.ts";

/**
 * The way of one app's messages. Where a link lives for one call (`features.link`), nothing is kept between calls: no promise, and no
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

/** As many messages go into one `publish` at most: a window that one verdict cannot hold up for long. */
const LARGEST_BATCH = 256;

/**
 * A queue is taken for declared until so many others were declared after it; then the broker is asked again, which may have forgotten it:
 * each has more room than they need.
 */
const TRUSTED = 1000;

/** Makes a road; `broker` and `effort` are asked anew for each message. */
export function makeRoad(clock: Clock, broker: () => PublishBroker, effort: () => Effort): Road {
  /** What the broker has declared, and declares again by itself where that is due: by its number in that order. */
  let declared = new WeakMap<readonly Entity[], number>();
  let last = 0;
  const busy = new Set<Promise<void>>();
  const gathered: Job[] = [];

  const isShared = (): boolean => broker().features.link === "shared";

  const stands = (entities: readonly Entity[]): boolean =>
    (declared.get(entities) ?? -Infinity) > last - TRUSTED;

  const ask: Way["ask"] = async (jobs) => {
    const queues = new Set(jobs.map(({ entities }) => entities));
    const due = [...queues].filter((entities) => entities.length > 0 && !stands(entities));
    try {
      const verdicts = await askBroker(way, jobs, due.flat());
      if (isShared()) { for (const entities of due) declared.set(entities, ++last); }
      return verdicts;
    } catch (error) {
      if (queues.size === 1 || !(error instanceof ConfigurationError)) throw error;
      // Nothing was sent: a queue that cannot be declared takes no messages of other queues along.
      const apart = [...queues].map((each) => jobs.filter(({ entities }) => entities === each));
      await Promise.all(apart.map((part) => publish(way, part)));
      return undefined;
    }
  };
  const way: Way = { clock, broker, effort, ask };

  const go = (jobs: readonly Job[]): void => {
    if (jobs.length === 0) return;
    const work = publish(way, jobs);
    if (!isShared()) return;
    busy.add(work);
    void work.then(() => busy.delete(work));
  };

  const flush = (): void => go(gathered.splice(0));

  /** What may not wait for the others goes at once. */
  const into = (batch: Job[]) => (job: Job): unknown =>
    isAlone(job) || job.options.retryPolicy !== undefined ? go([job]) : batch.push(job);

  return {
    send(pack) {
      const sent = start(way, pack, into(gathered));
      if (gathered.length >= LARGEST_BATCH) flush();
      else if (gathered.length === 1) clock.soon(flush);
      return sent;
    },
    sendMany(packs) {
      const batch: Job[] = [];
      const sent = packs.map((pack) => start(way, pack, into(batch)));
      go(batch);
      return Promise.allSettled(sent);
    },
    async close(close) {
      flush();
      await Promise.all(busy);
      await close();
      declared = new WeakMap();
    },
  };
}
