/**
 * The hooks of an app: who hears of its work, and who stands around it. Where nobody does, they cost one look.
 *
 * @module
 */
import { CeleriacError, ConfigurationError } from "../errors.ts";
import { checkOptionNames } from "../lib/options.ts";
import { demand, demandText } from "../lib/demand.ts";
import type { Logger } from "../lib/logger.ts";
import { didYouMean } from "../lib/suggest.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { Envelope, HookEvents, HookName, Middleware, Observer, ObserverOptions } from "./hook-events.ts";
import type { Running } from "./running.ts";

/** Each hook, and whether it can be waited for. */
const HOOKS: Readonly<Record<HookName, boolean>> = {
  beforeTaskPublish: true,
  afterTaskPublish: true,
  taskReceived: false,
  taskPrerun: true,
  taskPostrun: true,
  taskSuccess: true,
  taskFailure: true,
  taskRetry: true,
  taskRevoked: false,
  taskUnknown: false,
  taskRejected: false,
  workerReady: false,
  workerShuttingDown: false,
  workerShutdown: true,
};

interface Heard extends ObserverOptions {
  readonly name: HookName;
  readonly hear: Observer;
}

/** What is heard and stood around of one app; a fork has its origin's first. */
export class Hooks {
  readonly #logger: Logger;
  readonly #under: Hooks | undefined;
  readonly #heard = new Set<Heard>();
  readonly #layers = new Set<Middleware>();
  #publishing = 0;

  constructor(logger: Logger, under?: Hooks) {
    this.#logger = logger;
    this.#under = under;
  }

  /** Whether anything is heard of publishes, or stands around them. */
  get publishes(): boolean {
    return this.#publishing > 0 || this.#under?.publishes === true;
  }

  /** Whether there is anything at all. */
  get any(): boolean {
    return this.#heard.size > 0 || this.#layers.size > 0 || this.#under?.any === true;
  }

  /** Throws `ConfigurationError` "option-unknown" for a hook or an option that does not exist, "option-invalid". */
  on(name: HookName, hear: Observer, options: ObserverOptions): Disposable {
    if (!Object.hasOwn(HOOKS, name)) {
      const hint = didYouMean(String(name), Object.keys(HOOKS)) ??
        `It is one of ${Object.keys(HOOKS).join(", ")}.`;
      throw new ConfigurationError("option-unknown", `There is no hook ${JSON.stringify(name)}.`, { hint });
    }
    demand(typeof hear === "function", `The listener of ${name}`, "a function");
    checkOptionNames(`The hook ${name}`, options, ["task", "wait"]);
    demandText(options.task, `task of the hook ${name}`);
    demand(
      options.wait !== true || HOOKS[name],
      `wait of the hook ${name}`,
      "false: nothing waits for this one",
    );
    const heard: Heard = { ...options, name, hear };
    return this.#add(this.#heard, heard, name === "beforeTaskPublish" || name === "afterTaskPublish");
  }

  /** Throws `ConfigurationError` "option-unknown", "option-invalid". */
  use(layer: Middleware): Disposable {
    checkOptionNames("Middleware", layer, ["publish", "run"]);
    for (const name of ["publish", "run"] as const) {
      demand(
        layer[name] === undefined || typeof layer[name] === "function",
        `${name} of middleware`,
        "a function",
      );
    }
    return this.#add(this.#layers, { ...layer }, layer.publish !== undefined);
  }

  /** Tells all who hear of it. A promise where somebody is to be waited for; what they throw is logged, and never thrown. */
  tell<K extends HookName>(name: K, event: HookEvents[K], task?: string): Promise<unknown> | undefined {
    const waited: Promise<void>[] = [];
    for (const heard of this.#hearing(name)) {
      if (heard.task !== undefined && heard.task !== task) continue;
      try {
        const answer = (heard.hear as Observer<K>)(event);
        if (!isThenable(answer)) continue;
        const done = Promise.resolve(answer).then(() => {}, (error: unknown) => this.#failed(name, error));
        if (heard.wait === true) waited.push(done);
      } catch (error) {
        this.#failed(name, error);
      }
    }
    return waited.length === 0 ? undefined : Promise.all(waited);
  }

  /** Sends through the layers; `send` packs and publishes. */
  async publish(
    envelope: Envelope,
    send: () => Promise<AsyncResult<unknown>>,
  ): Promise<AsyncResult<unknown>> {
    let sent: Promise<AsyncResult<unknown>> | undefined;
    const inner = async (): Promise<AsyncResult<unknown>> => {
      await this.tell("beforeTaskPublish", envelope, envelope.name);
      const result = await send();
      await this.tell("afterTaskPublish", envelope, envelope.name);
      return result;
    };
    await around(
      this.#around("publish").map((layer) => (next) =>
        layer.publish?.(envelope, next as () => Promise<AsyncResult<unknown>>)
      ),
      () => sent = inner(),
    );
    if (sent !== undefined) return await sent;
    throw new CeleriacError(
      "middleware-no-next",
      `Middleware did not call next(): ${envelope.name}[${envelope.id}] was not published.`,
      { hint: "Throw where a task must not be sent, so that its caller learns of it." },
    );
  }

  /** The run of a task within the layers, if there are any. */
  run(task: Running, invoke: () => unknown): unknown {
    const layers = this.#around("run");
    if (layers.length === 0) return invoke();
    // A task that throws at once does so within its layers, too.
    const inner = async (): Promise<unknown> => await invoke();
    return around(layers.map((layer) => (next) => layer.run?.(task, next)), inner);
  }

  #add<T>(to: Set<T>, what: T, publishes: boolean): Disposable {
    to.add(what);
    if (publishes) this.#publishing++;
    return {
      [Symbol.dispose]: () => {
        if (to.delete(what) && publishes) this.#publishing--;
      },
    };
  }

  #hearing(name: HookName): readonly Heard[] {
    const own = [...this.#heard].filter((heard) => heard.name === name);
    return this.#under === undefined ? own : [...this.#under.#hearing(name), ...own];
  }

  #around(kind: keyof Middleware): readonly Middleware[] {
    const own = [...this.#layers].filter((layer) => layer[kind] !== undefined);
    return this.#under === undefined ? own : [...this.#under.#around(kind), ...own];
  }

  #failed(name: HookName, error: unknown): void {
    try {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      this.#logger.log("error", `The hook ${name} failed: ${text}`, {
        code: "hook-failed",
        hook: name,
        error,
      });
    } catch {
      // A logger that throws, or an error without a text: nobody is left to tell.
    }
  }
}

type Layer = (next: () => Promise<unknown>) => unknown;

/** What the innermost gives, unless a layer gives something else. */
async function around([layer, ...more]: readonly Layer[], inner: () => Promise<unknown>): Promise<unknown> {
  if (layer === undefined) return await inner();
  let going: Promise<unknown> | undefined;
  const given = await layer(() => {
    if (going !== undefined) {
      return Promise.reject(new CeleriacError("middleware-next-twice", "Middleware called next() twice."));
    }
    going = around(more, inner);
    // Whoever does not wait for it is told below, or has thrown already.
    going.catch(() => {});
    return going;
  });
  return given === undefined && going !== undefined ? await going : given;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
