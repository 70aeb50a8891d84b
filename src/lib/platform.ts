/**
 * The one module that touches ambient time, chance and the runtime's globals.
 *
 * @module
 */
import type {
  BasePlatform,
  Clock,
  Context,
  HostFacts,
  Ids,
  Platform,
  Random,
  SenderPlatform,
  Timer,
} from "./port.ts";

/** The longest delay that setTimeout honours; beyond it Node, Bun and Deno fire at once. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

interface Handle {
  unref?(): void;
}

interface Storage {
  run<R>(value: unknown, callback: () => R): R;
  getStore(): unknown;
  enterWith?(value: unknown): void;
}

interface Ambient {
  readonly process?: {
    readonly pid?: number;
    readonly version?: string;
    readonly versions?: Readonly<Record<string, string>>;
    getBuiltinModule?(name: string): unknown;
  };
  readonly AsyncLocalStorage?: new () => Storage;
  readonly Bun?: { readonly version: string };
  readonly Deno?: { readonly version: { readonly deno: string } };
  readonly EdgeRuntime?: unknown;
  readonly navigator?: { readonly userAgent?: string };
  readonly MessageChannel?: new () => {
    readonly port1: { onmessage: (() => void) | null };
    readonly port2: { postMessage(value: null): void };
  };
  setTimeout(callback: () => void, ms: number): Handle | number;
  clearTimeout(handle: Handle | number): void;
  setImmediate?(callback: () => void): unknown;
}

/** A process where there is one that can load modules. */
interface Loader {
  getBuiltinModule(name: string): unknown;
}

const ambient = globalThis as unknown as Ambient;

function builtin<T>(name: string): T | undefined {
  try {
    return ambient.process?.getBuiltinModule?.(name) as T | undefined;
  } catch {
    // A runtime without that module throws instead of answering undefined.
    return undefined;
  }
}

/** What a plain sender needs of a clock. It has no use for a time of 25 days: a wait ends by then. */
export const sendingClock: Pick<Clock, "after" | "now"> = {
  now: () => Date.now(),
  after(ms, callback): Timer {
    const handle = ambient.setTimeout(callback, Math.max(0, Math.min(ms, LONGEST_TIMEOUT)));
    return { cancel: () => ambient.clearTimeout(handle) };
  },
};

const clock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  soon: (callback) => queueMicrotask(callback),
  after(ms, callback, { keepAlive = true } = {}): Timer {
    let handle: Handle | number;
    const arm = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMEOUT);
      handle = ambient.setTimeout(left > step ? () => arm(left - step) : callback, step);
      if (!keepAlive) (handle as Handle).unref?.();
    };
    arm(Math.max(0, ms));
    return { cancel: () => ambient.clearTimeout(handle) };
  },
};

/** Chance. */
export const random: Random = { next: () => Math.random() };

/** Fresh ids. */
export const ids: Ids = { uuid: () => crypto.randomUUID() };

/** The event loop as it is, whatever a test puts in the place of its timers later: all is taken when this module is loaded. */
export interface EventLoop {
  /** Monotonic time in ms, of no fixed origin. */
  elapsed(): number;
  /** As {@link Clock.after}, for less than 25 days. */
  after(ms: number, callback: () => void, options?: { readonly keepAlive?: boolean }): Timer;
  /**
   * Calls `callback` in a later turn, as soon as there is one: what was queued as microtasks has run by then, and what that queued.
   *
   * Measured, for one turn: `setImmediate` 1.3 µs on Node 20, 0.8 on Bun, 1.8 on Deno; a `MessageChannel` 1.1, 1.2, 2.4; `setTimeout` 1 ms
   * and more on all.
   */
  turn(callback: () => void): void;
}

/** The event loop as it is. */
export const eventLoop: EventLoop = /* @__PURE__ */ realLoop();

function realLoop(): EventLoop {
  const { MessageChannel: Channel, setImmediate, setTimeout, clearTimeout } = ambient;
  const elapsed = performance.now.bind(performance);
  let waiting: (() => void)[] = [];
  let post: (() => void) | undefined;
  const open = (Port: NonNullable<typeof Channel>): () => void => {
    const { port1, port2 } = new Port();
    port1.onmessage = () => {
      const [first] = waiting;
      waiting = waiting.slice(1);
      first?.();
    };
    return () => port2.postMessage(null);
  };
  return {
    elapsed: () => elapsed(),
    after(ms, callback, { keepAlive = true } = {}) {
      const handle = setTimeout(callback, ms);
      if (!keepAlive) (handle as Handle).unref?.();
      return { cancel: () => clearTimeout(handle) };
    },
    turn(callback) {
      if (setImmediate !== undefined) setImmediate(callback);
      // workerd gives a message to its channel's other end before any microtask runs.
      else if (Channel === undefined || runtimeName() === "workerd") setTimeout(callback, 0);
      else {
        waiting.push(callback);
        (post ??= open(Channel))();
      }
    },
  };
}

function systemContext(): Context {
  let storage: Storage | undefined | null = null;
  const find = (): Storage | undefined => {
    if (storage === null) {
      const Found =
        builtin<{ AsyncLocalStorage: new () => Storage }>("node:async_hooks")?.AsyncLocalStorage ??
          ambient.AsyncLocalStorage;
      storage = Found === undefined ? undefined : new Found();
    }
    return storage;
  };
  return {
    get available() {
      return find() !== undefined;
    },
    run(value, callback) {
      const found = find();
      return found === undefined ? callback() : found.run(value, callback);
    },
    current: () => find()?.getStore(),
    enter(value) {
      try {
        const found = find();
        found?.enterWith?.(value);
        return found?.enterWith !== undefined;
      } catch {
        // workerd has the method, and throws.
        return false;
      }
    },
  };
}

function runtimeName(): HostFacts["runtime"] {
  if (ambient.navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  if (ambient.Bun !== undefined) return "bun";
  if (ambient.Deno !== undefined) return "deno";
  if (ambient.EdgeRuntime !== undefined) return "edge";
  return ambient.process?.versions?.["node"] === undefined ? "unknown" : "node";
}

/** Whose name a sender writes. */
const nodeFacts: Pick<HostFacts, "hostname" | "pid"> = {
  get hostname() {
    try {
      const os = (ambient.process as Loader).getBuiltinModule("node:os") as { hostname(): string };
      return os.hostname();
    } catch {
      // There is none; or Deno refuses without --allow-sys, and a worker must still start.
      return "localhost";
    }
  },
  get pid() {
    return ambient.process?.pid ?? 0;
  },
};

/** The real ports of a plain sender. */
export const senderPlatform: SenderPlatform = { clock: sendingClock, ids, host: nodeFacts };

const host: HostFacts = {
  runtime: /* @__PURE__ */ runtimeName(),
  get version() {
    return ambient.Bun?.version ?? ambient.Deno?.version.deno ?? ambient.process?.version?.slice(1) ?? "";
  },
  get hostname() {
    return nodeFacts.hostname;
  },
  get pid() {
    return nodeFacts.pid;
  },
};

/** The real ports without the async context, which only those need who run tasks. */
export const basePlatform: BasePlatform = { clock, random, ids, host };

/** The real ports: the default wherever a `Platform` is asked for. */
export const systemPlatform: Platform = {
  clock,
  random,
  ids,
  context: /* @__PURE__ */ systemContext(),
  host,
};
