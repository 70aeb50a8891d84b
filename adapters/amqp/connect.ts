/**
 * One attempt on every URL to get a connection.
 *
 * @module
 */
import { Epoch, type EpochEvents } from "./epoch.ts";
import { nextOf, type Roads } from "./roads.ts";

/**
 * Tries each URL once, beginning with the one whose turn it is; throws the last attempt's coded error. When `signal` aborts, what became
 * of it is left at once.
 */
export async function connect(
  roads: Roads,
  kind: "publish" | "consume",
  events: EpochEvents,
  signal?: AbortSignal,
): Promise<Epoch> {
  let error: unknown;
  for (let tried = 0; tried < roads.targets.length && signal?.aborted !== true; tried++) {
    try {
      return await Epoch.open(nextOf(roads), roads, kind, events, signal);
    } catch (caught) {
      error = caught;
      roads.turn++;
    }
  }
  throw error;
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
