/**
 * The ports through which the core meets the world: time, chance, ids, the async context and facts about the host.
 * `platform.ts` holds the real ones; tests and the harness inject others.
 *
 * @module
 */

/** A timer that can be called off. */
export interface Timer {
  /** Calls the timer off; after it the callback does not run. Calling it again does nothing. */
  cancel(): void;
}

/** Time. All values are milliseconds. */
export interface Clock {
  /** Wall time, ms since the epoch. */
  now(): number;
  /** Monotonic time in ms, of no fixed origin: for measuring durations. Has a fraction. */
  elapsed(): number;
  /**
   * Calls `callback` once after `ms`. Any finite `ms` is honoured (longer than 2^31-1 re-arms). With `keepAlive: false` the timer
   * does not hold the process open.
   *
   * @default keepAlive true
   */
  after(ms: number, callback: () => void, options?: { readonly keepAlive?: boolean }): Timer;
  /** Calls `callback` after the present tick, once what is already queued as microtasks has run: the place to coalesce writes. */
  soon(callback: () => void): void;
}

/** Chance. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
}

/** Fresh ids. */
export interface Ids {
  /** A random UUID (version 4) in its 36-character form. */
  uuid(): string;
}

/**
 * The async context: a value that follows awaits (AsyncLocalStorage, where the runtime has one). `current()` is `undefined` outside
 * `run` and on runtimes without one (`available` is false there).
 */
export interface Context {
  /** Whether the runtime carries a value across awaits. */
  readonly available: boolean;
  /** Runs `callback` with `value` as the current one. */
  run<R>(value: unknown, callback: () => R): R;
  /** The value of the innermost `run` around the caller. */
  current(): unknown;
  /**
   * Makes `value` the current one from here on, for the caller and what it calls or awaits (`AsyncLocalStorage.enterWith`); false where the
   * runtime cannot. For tests: a program that says where a value ends uses `run`.
   */
  enter?(value: unknown): boolean;
}

/** Facts about the host, asked in one place. */
export interface HostFacts {
  /** "node", "bun", "deno", "workerd", "edge" or "unknown". */
  readonly runtime: "node" | "bun" | "deno" | "workerd" | "edge" | "unknown";
  /** The runtime's version, or "" where it tells none. */
  readonly version: string;
  /** The host's name, or "localhost" where it cannot be asked. */
  readonly hostname: string;
  /** The process id, or 0 where there is none. */
  readonly pid: number;
}

/** The ports of a plain sender; each {@link BasePlatform} is one. */
export interface SenderPlatform {
  /** Time. */
  readonly clock: Pick<Clock, "after" | "now">;
  /** Fresh ids. */
  readonly ids: Ids;
  /** Facts about the host. */
  readonly host: Pick<HostFacts, "hostname" | "pid">;
}

/** The ports of what sends: all but the async context. */
export interface BasePlatform {
  /** Time. */
  readonly clock: Clock;
  /** Chance. */
  readonly random: Random;
  /** Fresh ids. */
  readonly ids: Ids;
  /** Facts about the host. */
  readonly host: HostFacts;
}

/** All ports together, as `Celery` takes them in `platform`. */
export interface Platform extends BasePlatform {
  /** The async context. */
  readonly context: Context;
}
