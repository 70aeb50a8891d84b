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
  /** Verdicts on messages by their bodies: a server may confirm several at once, and those of several queues in any order. */
  readonly confirms: string[] = [];
  /** Consumers of a queue that is gone: its process tells each of them by itself. */
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

/** Where a message comes from and what it says; reducer and client name these alike. */
interface Arrived {
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
}

interface Content {
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  readonly body: Uint8Array | null | undefined;
}

function textOf({ body }: Content): string {
  return new TextDecoder().decode(body ?? new Uint8Array());
}

export function messageText(arrived: Arrived, content: Content): string {
  const { deliveryTag, redelivered, exchange, routingKey } = arrived;
  return `#${deliveryTag} ${redelivered} ${exchange}|${routingKey}|${textOf(content)}${
    deathsOf(content.headers)
  }`;
}

export function gotText(arrived: Arrived & { readonly messageCount?: number }, content: Content): string {
  return `got ${messageText(arrived, content)} left ${arrived.messageCount}`;
}

export function returnText(
  { code, exchange, routingKey }: {
    readonly code: number;
    readonly exchange: string;
    readonly routingKey: string;
  },
  content: Content,
): string {
  return `${code} ${exchange}|${routingKey}|${textOf(content)}`;
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
function deathsOf(headers: Readonly<Record<string, unknown>> | undefined): string {
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
