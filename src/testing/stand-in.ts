/**
 * Which harness sends: forks of an app that stand in for it while a test lasts.
 *
 * @module
 */
import type { AppInner } from "../app/inner.ts";
import type { Registry } from "../app/registry.ts";
import { ConfigurationError } from "../errors.ts";

/** What the async context of a test holds: the fork that sends in it, until it is over. */
export interface StandInScope {
  readonly app: AppInner;
  readonly taskId?: undefined;
  /** Its place in the order of beginnings and ends. */
  readonly since: number;
  /** When it ended, in that order; undefined while it lasts. */
  until: number | undefined;
}

/** The stand-ins of one app and its forks. */
class StandIns {
  readonly #registry: Registry;
  readonly #living: Set<StandInScope> = new Set<StandInScope>();
  #moments = 0;

  constructor(registry: Registry) {
    this.#registry = registry;
    registry.standIn = (scope) => this.#sender(scope);
  }

  get size(): number {
    return this.#living.size;
  }

  begin(app: AppInner): StandInScope {
    const scope: StandInScope = { app, since: ++this.#moments, until: undefined };
    this.#living.add(scope);
    return scope;
  }

  end(scope: StandInScope): void {
    scope.until ??= ++this.#moments;
    this.#living.delete(scope);
  }

  /** Whom the context names, unless that is over or sends for another app; else the only one there is. */
  #sender(scope: { readonly app: AppInner } | undefined): AppInner | undefined {
    if (scope === undefined) return this.#only(undefined);
    if ("until" in scope && scope.until !== undefined) return this.#only(scope as StandInScope);
    return scope.app.registry === this.#registry ? scope.app : this.#only(undefined) ?? scope.app;
  }

  /**
   * `over` is the scope of a test that has ended, which a runner may hand on to the next test. A harness that began while that test still
   * ran is not the next one's.
   */
  #only(over: StandInScope | undefined): AppInner | undefined {
    const [one, two] = this.#living;
    if (one === undefined) return undefined;
    if (two === undefined && (over?.until === undefined || one.since > over.until)) return one.app;
    throw new ConfigurationError(
      "harness-ambiguous",
      "Several harnesses of this app live or lived at a time, and nothing says which of them is to send.",
      { hint: "Send within harness.run(…), or by harness.app." },
    );
  }
}

/** By what an app and its forks have in common. */
const families = new WeakMap<Registry, StandIns>();

/**
 * From here on this fork sends where nobody else is named, for its whole family. Throws `ConfigurationError` "harness-second" where the
 * runtime has no async context and another one lives: their tasks could not be told apart.
 */
export function standIn(app: AppInner): StandInScope {
  const standIns = families.get(app.registry) ?? new StandIns(app.registry);
  families.set(app.registry, standIns);
  if (!app.platform.context.available && standIns.size > 0) {
    throw new ConfigurationError(
      "harness-second",
      "This runtime has no async context: an app can have one harness at a time.",
      { hint: "Dispose of the other one first." },
    );
  }
  return standIns.begin(app);
}

/** It stands in no more. */
export function stepBack(scope: StandInScope): void {
  families.get(scope.app.registry)?.end(scope);
}
