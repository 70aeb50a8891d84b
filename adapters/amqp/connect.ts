/**
 * One attempt on every URL to get a connection.
 *
 * @module
 */
import { Epoch, type EpochEvents, type Place } from "./epoch.ts";
import type { CallSettings, Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { Target, Targets } from "./url.ts";
import type { Dial, Sink } from "./wire.ts";

/** Where to connect to, and how. Holds nothing that lives. */
export interface Roads<Out extends Sink = Outbox, About extends CallSettings = Settings> {
  /** The URLs without secrets. */
  readonly address: string;
  readonly places: readonly Place<Out>[];
  readonly settings: About;
  /** Counts the failures: the turn goes to the next URL with each. */
  turn: number;
}

/** The roads to `targets` over one transport. */
export function roadsTo<T extends Target, Out extends Sink, About extends CallSettings>(
  targets: Targets<T>,
  dial: Dial<T, Out>,
  settings: About,
): Roads<Out, About> {
  return {
    address: targets.map(({ address }) => address).join(";"),
    places: targets.map((target) => ({ target, dial: (about, events) => dial(target, about, events) })),
    settings,
    turn: 0,
  };
}

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
  const { places, settings } = roads;
  let error: unknown;
  for (let tried = 0; tried < places.length && signal?.aborted !== true; tried++) {
    const place = places[roads.turn % places.length] as Place;
    try {
      return await Epoch.open(place, kind, settings, events, signal);
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
