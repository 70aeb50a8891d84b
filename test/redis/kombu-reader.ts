/**
 * kombu's lists in Redis, for tests that look at them with nothing of ours between.
 *
 * @module
 */

/** kombu's envelope. */
export interface Envelope {
  readonly body: string;
  readonly "content-encoding": string;
  readonly "content-type": string;
  readonly headers: Record<string, unknown>;
  readonly properties: Record<string, unknown> & {
    readonly delivery_info: { readonly exchange: string; readonly routing_key: string };
    readonly priority: number;
    readonly delivery_tag: string;
  };
}

/** The keys of a queue's lists, the most urgent first. */
export function listsOf(queue: string): string[] {
  return [queue, ...["3", "6", "9"].map((step) => `${queue}\x06\x16${step}`)];
}
