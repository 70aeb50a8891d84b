/**
 * `task_routes`: from what a program writes to rules that are asked in their order (celery/app/routes.py `prepare`, `MapRoute`).
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import type { RouteOptions } from "../producer/settings.ts";
import type { CallOptions } from "../result/sender.ts";
import { type Fields, invalid, isRecord, readFields } from "./fields.ts";
import { glob } from "./glob.ts";
import { anyText, deliveryMode, exchangeType, type Kind, text, whole } from "./settings-kinds.ts";
import type { TaskOptions } from "./task.ts";

/** What a function that routes is told of the task: what its declaration says. */
export interface RoutedTask {
  /** The name of the task. */
  readonly name: string;
  /** The options of its declaration. */
  readonly options: TaskOptions;
}

/**
 * A router of your own: the name of a queue, or more of a route, or nothing (`undefined`, `null`) for the next router in the list. It
 * answers at once; what it throws is what sending throws. `task` is there where the app declares a task of this name.
 */
export type RouteFunction = (
  name: string,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
  options: CallOptions,
  task: RoutedTask | undefined,
) => string | RouteOptions | null | undefined;

/** Routes by name, glob (a name with a `*`) or pattern; a text is the name of a queue. */
export type RouteMap =
  | Readonly<Record<string, string | RouteOptions>>
  | ReadonlyMap<string | RegExp, string | RouteOptions>;

/** One of a list of routers. Pairs are a {@link RouteMap} in another spelling. */
export type TaskRouter =
  | RouteMap
  | RouteFunction
  | readonly (readonly [name: string | RegExp, route: string | RouteOptions])[];

/** What the setting `taskRoutes` takes: one router, or several that are asked in their order. */
export type TaskRoutesOption = RouteMap | RouteFunction | readonly TaskRouter[];

/** A router, read: undefined where it has no word on the task. */
export type Rule = RouteFunction | ((name: string) => RouteOptions | undefined);

const ROUTE_FIELDS: Fields<RouteOptions> = {
  kinds: {
    queue: text,
    exchange: anyText,
    exchangeType,
    routingKey: anyText,
    priority: whole(0, 255),
    deliveryMode,
  },
};

/** The kind of `task_routes`. */
export const routes: Kind<readonly Rule[]> = {
  is:
    "an object (name of a task or glob to a queue or a route), a Map (patterns too), a function, or an array of these",
  read: (value, name) => {
    if (Array.isArray(value)) return value.map((each: unknown, at) => ruleOf(each, `${name}[${at}]`));
    return isRouter(value) ? [ruleOf(value, name)] : undefined;
  },
};

/** What a function answered, as a route. Throws `ConfigurationError` "route-invalid". */
export function answerOf(answer: unknown, task: string): RouteOptions | undefined {
  if (answer === undefined || answer === null) return undefined;
  const place = `The answer of a task_routes function for ${JSON.stringify(task.slice(0, 80))}`;
  try {
    if (typeof (answer as { then?: unknown }).then === "function") {
      throw invalid(place, "a queue's name or a route, at once", answer);
    }
    return routeOf(answer, place);
  } catch (error) {
    throw new ConfigurationError("route-invalid", (error as Error).message);
  }
}

function isRouter(value: unknown): boolean {
  return typeof value === "function" || isRecord(value) || value instanceof Map;
}

function ruleOf(value: unknown, place: string): Rule {
  if (typeof value === "function") return value as RouteFunction;
  if (isRecord(value)) return mapOf(Object.entries(value), place);
  if (value instanceof Map) return mapOf(value, place);
  if (!Array.isArray(value)) {
    throw invalid(place, "an object, a Map, a function, or an array of pairs", value);
  }
  if (!value.every((pair) => Array.isArray(pair) && pair.length === 2)) {
    throw new ConfigurationError("setting-invalid", `${place} must be an array of pairs [name, route].`, {
      hint: 'An array holds routers, so pairs stand in one of their own: [[["video.*", "video"]]].',
    });
  }
  return mapOf(value as [unknown, unknown][], place);
}

/** Exact names first, then globs and patterns in their order. */
function mapOf(pairs: Iterable<readonly [unknown, unknown]>, place: string): Rule {
  const exact = new Map<string, RouteOptions>();
  const patterns = new Map<string, readonly [RegExp, RouteOptions]>();
  for (const [key, value] of pairs) {
    const name = key instanceof RegExp ? String(key) : JSON.stringify(key) ?? String(key);
    const route = routeOf(value, `${place}: the route of ${name.slice(0, 120)}`);
    if (key instanceof RegExp) patterns.set(`r${name}`, [fromStart(key), route]);
    else if (typeof key !== "string") throw invalid(`${place}: a key`, "a text or a RegExp", key);
    // A name without a star is no glob to Celery, whatever else it holds.
    else if (key.includes("*")) patterns.set(key, [glob(key), route]);
    else exact.set(key, route);
  }
  const ordered = [...patterns.values()];
  return (task: string) => exact.get(task) ?? ordered.find(([pattern]) => matches(pattern, task))?.[1];
}

/** Python's `re.match`: from the beginning of the name, not to its end. */
function fromStart({ source, flags }: RegExp): RegExp {
  return new RegExp(source, `${flags.replace(/[gy]/g, "")}y`);
}

function matches(pattern: RegExp, task: string): boolean {
  pattern.lastIndex = 0;
  return pattern.test(task);
}

function routeOf(value: unknown, place: string): RouteOptions {
  if (typeof value === "string" && value !== "") return { queue: value };
  if (!isRecord(value)) throw invalid(place, "the name of a queue, or an object", value);
  return readFields(value, place, ROUTE_FIELDS);
}
