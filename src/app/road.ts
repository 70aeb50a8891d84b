/**
 * The road of a message inside its sender: route says where, the protocol what, the publisher gets it confirmed.
 *
 * @module
 */
import type { Message } from "../broker.ts";
import { EncodeError } from "../errors.ts";
import { toMs } from "../lib/duration.ts";
import { anonNodename } from "../protocol/node.ts";
import { packTask, type PackTaskOptions } from "../protocol/task.ts";
import { AsyncResult } from "../result/async-result.ts";
import type { CallOptions } from "../result/sender.ts";
import { type Call, definedArgs, definedKwargs, NO_OPTIONS, specOf } from "./compose.ts";
import type { AppCore } from "./core.ts";
import type { SendScope } from "./inner.ts";
import { type Job, Publisher } from "./publisher.ts";
import type { Route } from "./route.ts";
import { parentOf, type SenderScope } from "./scope.ts";
import { readRetryPolicy } from "./settings-kinds.ts";
import type { PublishRetryPolicy, Settings } from "./settings.ts";

type Scope = SendScope | SenderScope | undefined;

/** How a packed message goes on. */
interface Packed {
  readonly id: string;
  readonly route: Route;
  readonly message: Message | Promise<Message>;
  readonly deadline: number;
}

/** Sends for one app. */
export class Road {
  readonly #app: AppCore;
  readonly #publisher: Publisher;
  #origin: string | undefined;
  #oid: string | undefined;

  constructor(app: AppCore) {
    this.#app = app;
    this.#publisher = new Publisher(
      () => app.broker(),
      app.platform.clock,
      () => app.settings.publishTimeout,
    );
  }

  /** Resolves once the broker confirmed. */
  send(call: Call, scope: Scope): Promise<AsyncResult<unknown>> {
    return new Promise((resolve, reject) => {
      const packed = this.#pack(call, scope);
      const publish = (message: Message): void => {
        this.#publisher.publish(new Sent(this.#app, call, packed, message, parentOf(scope), resolve, reject));
      };
      if (packed.message instanceof Promise) packed.message.then(publish).catch(reject);
      else publish(packed.message);
    });
  }

  /** One batch; what cannot be packed fails alone. */
  async sendMany(
    calls: readonly (() => Call)[],
    scope: Scope,
  ): Promise<PromiseSettledResult<AsyncResult<unknown>>[]> {
    const jobs: Job[] = [];
    const outcomes: Promise<AsyncResult<unknown>>[] = [];
    const packing: Promise<void>[] = [];
    for (const make of calls) {
      outcomes.push(
        new Promise((resolve, reject) => {
          const call = make();
          const packed = this.#pack(call, scope);
          const add = (message: Message): void => {
            jobs.push(new Sent(this.#app, call, packed, message, parentOf(scope), resolve, reject));
          };
          if (packed.message instanceof Promise) packing.push(packed.message.then(add).catch(reject));
          else add(packed.message);
        }),
      );
    }
    const settled = Promise.allSettled(outcomes);
    if (packing.length > 0) await Promise.all(packing);
    this.#publisher.publishAll(jobs);
    return await settled;
  }

  /** Resolves when nothing is on its way any more. */
  idle(): Promise<void> {
    return this.#publisher.idle();
  }

  /** The links are gone: queues are declared anew. */
  forget(): void {
    this.#publisher.forget();
  }

  #pack(call: Call, scope: Scope): Packed {
    const app = this.#app;
    const { options } = call;
    const { settings, router } = app;
    options.signal?.throwIfAborted();
    const route = router.route(call.name, options);
    const now = app.platform.clock.now();
    const id = options.taskId ?? app.platform.ids.uuid();
    const spec = specOf(defined(call), {
      settings,
      id,
      origin: this.#origin ??= anonNodename(app.platform.host),
      replyTo: this.#oid ??= app.platform.ids.uuid(),
      now,
      instant: settings.timezone === undefined && settings.enableUtc ? undefined : (ms) => app.instant(ms),
      parent: parentOf(scope),
      priority: route.priority,
    });
    const message = packTask(spec, packOptions(options, settings));
    const timeout = options.timeout === undefined
      ? settings.publishTimeout
      : toMs(options.timeout, "timeout");
    return { id, route, message, deadline: now + timeout };
  }
}

/** One message on its way. */
class Sent implements Job {
  readonly #app: AppCore;
  readonly #call: Call;
  readonly #packed: Packed;
  readonly #parent: SendScope | undefined;
  readonly #resolve: (result: AsyncResult<unknown>) => void;
  readonly failed: (error: unknown) => void;
  readonly outgoing: Job["outgoing"];
  tries = 0;

  constructor(
    app: AppCore,
    call: Call,
    packed: Packed,
    message: Message,
    parent: SendScope | undefined,
    resolve: (result: AsyncResult<unknown>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#app = app;
    this.#call = call;
    this.#packed = packed;
    this.#parent = parent;
    this.#resolve = resolve;
    this.failed = reject;
    const { to, mustRoute } = packed.route;
    const most = app.broker().features.maxMessage;
    if (message.body.length > most) {
      throw new EncodeError(
        "encode-too-large",
        `${this.what} is ${message.body.length} bytes, and the broker takes ${most}.`,
        {
          hint: "Send a reference to the data, or compress it.",
        },
      );
    }
    this.outgoing = { message, to, mustRoute };
  }

  get what(): string {
    return `Task ${this.#call.name}[${this.#packed.id}]`;
  }

  get plan(): Job["plan"] {
    return this.#packed.route.plan;
  }

  get deadline(): number {
    return this.#packed.deadline;
  }

  get signal(): AbortSignal | undefined {
    return this.#call.options.signal;
  }

  get alone(): boolean {
    const { signal, timeout } = this.#call.options;
    return signal !== undefined || timeout !== undefined;
  }

  get retry(): boolean | "unknown" {
    return this.#call.options.retry ?? this.#app.settings.taskPublishRetry;
  }

  get policy(): PublishRetryPolicy {
    const { retryPolicy } = this.#call.options;
    return retryPolicy === undefined
      ? this.#app.settings.taskPublishRetryPolicy
      : readRetryPolicy(retryPolicy);
  }

  confirmed(): void {
    const result = new AsyncResult<unknown>(this.#packed.id, this.#app);
    if (this.#parent !== undefined && this.#call.options.addToParent !== false) this.#parent.note(result);
    this.#resolve(result);
  }
}

function defined(call: Call): Call {
  const args = definedArgs(call.name, call.args);
  const kwargs = definedKwargs(call.kwargs);
  return args === call.args && kwargs === call.kwargs ? call : { ...call, args, kwargs };
}

function packOptions(options: CallOptions, settings: Settings): PackTaskOptions {
  if (
    options === NO_OPTIONS && settings.taskCompression === undefined && settings.taskSerializer === "json"
  ) return PLAIN;
  const compression = options.compression === undefined
    ? settings.taskCompression ?? null
    : options.compression;
  return { serializer: options.serializer ?? settings.taskSerializer, compression };
}

const PLAIN: PackTaskOptions = {};
