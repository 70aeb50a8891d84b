/**
 * What one channel was told, in a form in which fake and real can be compared: texts, sorted where a real server promises no order.
 *
 * @module
 */

/** The words of one slot, over all channels that stood in it. */
export class Trace {
  /** In the order of arrival. */
  readonly deliveries: string[] = [];
  /** Answers, in the order of the questions. */
  readonly replies: string[] = [];
  readonly returns: string[] = [];
  readonly confirms: string[] = [];
  readonly cancels: string[] = [];
  readonly closes: string[] = [];

  toJSON(): Readonly<Record<string, readonly string[]>> {
    return {
      deliveries: this.deliveries,
      replies: this.replies,
      returns: this.returns,
      confirms: [...this.confirms].sort(),
      cancels: [...this.cancels].sort(),
      closes: this.closes,
    };
  }
}

interface Death {
  readonly count: unknown;
  readonly reason: unknown;
  readonly queue: unknown;
  readonly exchange: unknown;
  readonly "routing-keys": unknown;
  readonly "original-expiration"?: unknown;
}

/** The deaths of a message without their instants. */
export function deathsOf(headers: Readonly<Record<string, unknown>> | undefined): string {
  const deaths = (headers?.["x-death"] ?? []) as readonly Death[];
  const first = ["reason", "queue", "exchange"].map((what) =>
    String(headers?.[`x-first-death-${what}`] ?? "-")
  );
  if (deaths.length === 0) return "";
  const list = deaths.map((death) =>
    [
      death.count,
      death.reason,
      death.queue,
      death.exchange,
      death["routing-keys"],
      death["original-expiration"],
    ].join("/")
  );
  return ` [${first.join("/")}; ${list.join(", ")}]`;
}
