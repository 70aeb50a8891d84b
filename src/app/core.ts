/**
 * The inside of one app: its settings, adapters and tasks, and the road that every message of it takes.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import type { Broker } from "../broker.ts";
import type { Logger } from "../lib/logger.ts";
import { defined } from "../lib/options.ts";
import type { Platform } from "../lib/port.ts";
import type { QueuePlan } from "./route.ts";
import type { Effort } from "../producer/settings.ts";
import type { WireSignature } from "../protocol/signature.ts";
import type { TaskRequest } from "../protocol/task.ts";
import { AsyncResult, type ResultSource } from "../result/async-result.ts";
import type { StampedHeaders } from "../result/revoke.ts";
import type { CallOptions, Sender, SendOptions } from "../result/sender.ts";
import { Adapters, type GivenAdapters } from "./adapters.ts";
import { callOf, over, wireCall } from "./calls.ts";
import { type Call, checkOptions, NO_OPTIONS } from "./compose.ts";
import type { Config } from "./config.ts";
import { makeRoad, type Road } from "./gathering.ts";
import { type AppInner, COPY, type SendScope } from "./inner.ts";
import type { Declaration } from "./declaration.ts";
import { callIn, envelopeOf } from "./envelope.ts";
import { Hooks } from "./hooks.ts";
import { Packer } from "./packer.ts";
import type { Registry } from "./registry.ts";
import { type Change, resent } from "./resend.ts";
import { revokeStamped, revokeTasks } from "./revoke.ts";
import { Router } from "./route.ts";
import { currentScope, type SenderScope } from "./scope.ts";
import type { Settings } from "./settings.ts";
import { type InstantFormat, instantFormat } from "./timezone.ts";

/** What an app is made of. */
export interface CoreParts {
  readonly name: string;
  readonly config: Config;
  readonly registry: Registry;
  readonly given: GivenAdapters;
  readonly platform: Platform;
  readonly logger: Logger;
  readonly exact: boolean;
  /** The app that this one is a fork of. */
  readonly origin?: AppCore;
}

/** What is made of the settings, once. */
interface Compiled {
  readonly settings: Settings;
  readonly router: Router;
  readonly instant: InstantFormat;
  readonly effort: Effort;
}

/** The inside of an app; `Celery` is its door. */
export class AppCore implements AppInner, ResultSource, Sender {
  readonly copy: symbol = COPY;
  readonly name: string;
  readonly platform: Platform;
  readonly logger: Logger;
  readonly exact: boolean;
  readonly config: Config;
  readonly registry: Registry;
  readonly adapters: Adapters;
  readonly hooks: Hooks;
  /** A fork sends by itself; an app lets the async context choose among its forks. */
  readonly #isFork: boolean;
  readonly #packer: Packer;
  readonly #road: Road;
  #compiled: Compiled | undefined;

  constructor(parts: CoreParts) {
    this.name = parts.name;
    this.config = parts.config;
    this.registry = parts.registry;
    this.platform = parts.platform;
    this.logger = parts.logger;
    this.exact = parts.exact;
    this.adapters = new Adapters(
      parts.given,
      parts.config,
      parts.platform,
      parts.logger,
      parts.origin?.adapters,
    );
    this.hooks = new Hooks(parts.logger, parts.origin?.hooks);
    this.#isFork = parts.origin !== undefined;
    this.#packer = new Packer(this);
    this.#road = makeRoad(parts.platform.clock, () => this.broker(), () => this.#compile().effort);
  }

  get settings(): Settings {
    return this.#compile().settings;
  }

  get limits(): Settings["contentLimits"] {
    return this.settings.contentLimits;
  }

  get tasks(): ReadonlyMap<string, Declaration> {
    return this.registry.tasks;
  }

  get router(): Router {
    return this.#compile().router;
  }

  broker(): Broker {
    return this.adapters.broker();
  }

  backend(): Backend | undefined {
    return this.adapters.backend();
  }

  ready(): Promise<void> {
    const { include, imports } = this.settings;
    return this.registry.load([...include, ...imports]);
  }

  defaultQueues(): readonly string[] {
    return this.router.defaultQueues;
  }

  consumedQueues(select: readonly string[] | undefined, exclude: readonly string[]): readonly string[] {
    return (select ?? this.defaultQueues()).filter((name) => !exclude.includes(name));
  }

  queue(name: string): QueuePlan {
    return this.router.queue(name);
  }

  intake(name: string): QueuePlan {
    return this.router.intake(name, () => this.newId());
  }

  instant(ms: number): string {
    return this.#compile().instant(ms);
  }

  newId(): string {
    return this.platform.ids.uuid();
  }

  /** Read by whoever would send, unless that is an app of another family and this one has a backend of its own. */
  result<T = unknown>(id: string): AsyncResult<T> {
    const sender = this.#sender(currentScope(this.platform.context));
    const isKin = sender.registry === this.registry;
    return new AsyncResult<T>(id, isKin || !this.adapters.hasBackend ? sender : this);
  }

  /** By name, as `sendTask`: the declaration of a task of that name, if there is one, has no say (as in Celery). */
  send(name: string, options: SendOptions, scope?: SendScope): Promise<AsyncResult<unknown>> {
    return this.#sending(() => {
      const call = callOf(name, options);
      return scope === undefined ? this.#choose(call) : this.#send(call, scope);
    });
  }

  /** A call of a task or of a signature: a declaration of the name fills in its options and checks the arguments. */
  call(call: Call): Promise<AsyncResult<unknown>> {
    return this.#sending(() => this.#choose(this.declared(call, true)));
  }

  sendSignature(
    signature: WireSignature,
    leading: readonly unknown[],
    options: SendOptions,
    scope?: SendScope,
  ): Promise<AsyncResult<unknown>> {
    return this.#sending(() => {
      const call = this.declared(wireCall(signature, leading, options), false);
      return scope === undefined ? this.#choose(call) : this.#send(call, scope);
    });
  }

  resend(message: TaskRequest, change: Change, scope: SendScope): Promise<AsyncResult<unknown>> {
    return this.#sending(() => {
      checkOptions(change.options);
      const call = resent(message, change);
      const own: CallOptions = this.registry.tasks.get(call.name)?.defaults ?? NO_OPTIONS;
      const written = defined({ compression: own.compression, serializer: own.serializer }) as CallOptions;
      return this.#send({ ...call, options: over(written, call.options) }, scope);
    });
  }

  /** One batch to the broker, one outcome each. */
  async sendMany(calls: readonly (() => Call)[]): Promise<PromiseSettledResult<AsyncResult<unknown>>[]> {
    const scope = currentScope(this.platform.context);
    const sender = this.#sender(scope);
    if (sender.hooks.publishes) {
      return await Promise.allSettled(calls.map(async (make) => await sender.#hooked(make(), scope)));
    }
    const packed = await Promise.allSettled(
      calls.map(async (make) => await sender.#packer.pack(make(), scope)),
    );
    return await sender.#road.sendMany(packed.map((each) => () => {
      if (each.status === "fulfilled") return each.value;
      throw each.reason;
    }));
  }

  /** The call with what its task's declaration says. */
  declared(call: Call, checked: boolean): Call {
    const declaration = this.registry.tasks.get(call.name);
    if (declaration === undefined) return call;
    if (checked) declaration.check(call.args, call.kwargs);
    const { defaults } = declaration;
    if (defaults === undefined) return call;
    return { ...call, options: call.options === NO_OPTIONS ? defaults : over(defaults, call.options) };
  }

  revoke(ids: string | readonly string[]): Promise<void> {
    return revokeTasks(this, ids);
  }

  revokeByStampedHeaders(headers: StampedHeaders): Promise<void> {
    return revokeStamped(this, headers);
  }

  close(): Promise<void> {
    return this.#road.close(() => this.adapters.close());
  }

  /** Runs `callback` with this app as the sender of all that its family sends within. */
  enter<R>(callback: () => R): R {
    return this.platform.context.run({ app: this } satisfies SenderScope, callback);
  }

  /** Promises that fail where `work` throws: no way of sending throws synchronously. */
  #sending(work: () => Promise<AsyncResult<unknown>>): Promise<AsyncResult<unknown>> {
    try {
      return work();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #choose(call: Call): Promise<AsyncResult<unknown>> {
    const scope = currentScope(this.platform.context);
    return this.#sender(scope).#send(call, scope);
  }

  #send(call: Call, scope: SendScope | SenderScope | undefined): Promise<AsyncResult<unknown>> {
    if (this.hooks.publishes) return this.#hooked(call, scope);
    const parcel = this.#packer.pack(call, scope);
    return parcel instanceof Promise
      ? parcel.then((ready) => this.#road.send(() => ready))
      : this.#road.send(() => parcel);
  }

  /** Through the hooks: what one of them holds up is this message alone. */
  async #hooked(call: Call, scope: SendScope | SenderScope | undefined): Promise<AsyncResult<unknown>> {
    const route = this.#packer.route(call);
    const envelope = envelopeOf(call, call.options.taskId ?? this.newId(), route.to);
    return await this.hooks.publish(envelope, async () => {
      const parcel = await this.#packer.pack(callIn(envelope, call), scope, route);
      return await this.#road.send(() => parcel);
    });
  }

  /**
   * Who sends. The async context's app, where it is of this family or this app has no broker of its own; an app with another broker
   * sends by itself, since its workers listen there, and only parent and root are taken from the context.
   */
  #sender(scope: SendScope | SenderScope | undefined): AppCore {
    if (this.#isFork) return this;
    const { standIn } = this.registry;
    const app = standIn === undefined ? scope?.app : standIn(scope);
    if (!(app instanceof AppCore)) return this;
    return app.registry === this.registry || !this.adapters.hasBroker ? app : this;
  }

  #compile(): Compiled {
    const { settings } = this.config;
    // `configFromObject` makes new settings.
    if (this.#compiled === undefined || this.#compiled.settings !== settings) {
      const zone = settings.timezone ?? (settings.enableUtc ? "UTC" : undefined);
      const { taskPublishRetry: retry, taskPublishRetryPolicy: policy, publishTimeout: timeout } = settings;
      this.#compiled = {
        settings,
        router: new Router(settings),
        instant: instantFormat(zone),
        effort: { retry, policy, timeout },
      };
    }
    return this.#compiled;
  }
}
