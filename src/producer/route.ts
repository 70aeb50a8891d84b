/**
 * Where a task goes: what senders with all of Celery's settings and those with a few have in common.
 *
 * @module
 */
import type { Destination, Entity, ExchangeType } from "../broker.ts";

/** Where one message goes, and what is declared before it. */
export interface Route {
  /** Exchange and key. */
  readonly to: Destination;
  /** Whether a queue must take it: not for fanout, where nobody need listen. */
  readonly mustRoute: boolean;
  /** What to declare first, in order; empty where the call names exchange and key itself. One queue is one list. */
  readonly entities: readonly Entity[];
}

/** The way into a queue, with all that Celery would declare for it. `table` are its arguments. The way is by the default exchange where that leads to the same place. */
export function routeTo(
  name: string,
  exchange: string,
  exchangeType: ExchangeType,
  routingKey: string,
  table?: Readonly<Record<string, unknown>>,
): Route {
  const common = { durable: true, autoDelete: false };
  return {
    to: exchangeType === "direct" ? { exchange: "", routingKey: name } : { exchange, routingKey },
    mustRoute: exchangeType !== "fanout",
    entities: [
      { kind: "exchange", name: exchange, type: exchangeType, ...common },
      { kind: "queue", name, exclusive: false, ...common, ...(table && { arguments: table }) },
      { kind: "binding", queue: name, exchange, routingKey },
    ],
  };
}

/** What finds a task's rule in `task_routes`: exact names first, then globs in their order. */
export function rulesOf<R>(routes: Iterable<readonly [string, R]>): (task: string) => R | undefined {
  const exact = new Map(routes);
  // A name without a star is no glob to Celery, whatever else it holds (celery/app/routes.py `MapRoute`).
  const globs = [...exact].filter(([name]) => name.includes("*")).map(([name, rule]) =>
    [glob(name), rule] as const
  );
  return (task) => exact.get(task) ?? globs.find(([pattern]) => pattern.test(task))?.[1];
}

/** `fnmatch` of Python: `*`, `?`, `[seq]`, `[!seq]`. */
function glob(pattern: string): RegExp {
  const source = pattern.replace(/\[!?[^\]]+\]|[^]/g, (part) => {
    if (part === "*") return "[^]*";
    if (part === "?") return "[^]";
    return part.length > 1 ? part.replace(/[\\^]/g, "\\$&").replace("[!", "[^") : part.replace(/\W/, "\\$&");
  });
  return new RegExp(`^${source}$`);
}
