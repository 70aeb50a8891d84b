/**
 * One attempt on every URL to get a connection.
 *
 * @module
 */
import { Epoch, type EpochEvents } from "./epoch.ts";
import { nextOf, type Roads } from "./roads.ts";
import type { Target } from "./url.ts";

/**
 * Tries each URL once, beginning with the one whose turn it is and going on as the settings' `failover` says; throws the last attempt's
 * coded error. When `signal` aborts, what became of it is left at once.
 */
export async function connect(
  roads: Roads,
  kind: "publish" | "consume",
  events: EpochEvents,
  signal?: AbortSignal,
): Promise<Epoch> {
  let error: unknown;
  const untried = new Set(roads.targets);
  while (untried.size > 0 && signal?.aborted !== true) {
    const target = nextOf(roads);
    try {
      return await Epoch.open(target, roads, kind, events, signal);
    } catch (caught) {
      error = caught;
      untried.delete(target);
      pass(roads, target, [...untried]);
    }
  }
  throw error;
}

/** The turn goes on from the target that failed, unless the other link has moved it already to one that was not tried here. */
function pass(roads: Roads, failed: Target, untried: readonly Target[]): void {
  const { settings: { failover, platform }, targets } = roads;
  const now = nextOf(roads);
  if (now !== failed && untried.includes(now)) return;
  const chosen = failover === "shuffle"
    ? untried[Math.floor(platform.random.next() * untried.length)]
    : undefined;
  if (chosen !== undefined) {
    roads.turn = targets.indexOf(chosen);
    return;
  }
  do roads.turn++; while (untried.length > 0 && !untried.includes(nextOf(roads)));
}

/**
 * Lends a connection, or the attempt to get one, for as long as `use` takes: then it has said goodbye and is gone, however that ended.
 * The goodbye waits until `deadline` (ms since the epoch) at the latest.
 */
export async function passing<T>(
  roads: Roads,
  deadline: number,
  use: (opening: Promise<Epoch>) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const opening = connect(roads, "publish", { unblocked: () => {} }, stop.signal);
  try {
    const result = await use(opening);
    await (await opening).leave(deadline);
    return result;
  } finally {
    stop.abort();
  }
}
