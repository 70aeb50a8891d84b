/**
 * Packs the calls of an app for the road: route says where, the protocol what.
 *
 * @module
 */
import type { Entity } from "../broker.ts";
import { readPolicy } from "../producer/retry.ts";
import type { Parcel } from "../producer/road.ts";
import type { Message } from "../protocol/message.ts";
import { anonNodename } from "../protocol/node.ts";
import { packTask, type PackTaskOptions } from "../protocol/task.ts";
import { AsyncResult } from "../result/async-result.ts";
import type { CallOptions } from "../result/sender.ts";
import { appSpec, type Call, NO_OPTIONS } from "./compose.ts";
import type { AppCore } from "./core.ts";
import { Delayed } from "./delayed.ts";
import type { SendScope } from "./inner.ts";
import { parentOf, type SenderScope } from "./scope.ts";
import type { AppRoute } from "./route.ts";
import type { Settings } from "./settings.ts";

/** A queue that a worker consumes stands. */
const NOTHING: readonly Entity[] = [];

type AppParcel = Parcel<AsyncResult<unknown>>;
type Scope = SendScope | SenderScope | undefined;

/** Packs for one app. */
export class Packer {
  readonly #app: AppCore;
  readonly #delayed: Delayed;
  #origin: string | undefined;
  #oid: string | undefined;

  constructor(app: AppCore) {
    this.#app = app;
    this.#delayed = new Delayed(app);
  }

  /** Where the call goes: a retry back to its queue, whatever the routes say by now. */
  route(call: Call): AppRoute {
    const { name, options: { priority }, to } = call;
    return to === undefined
      ? this.#app.router.route(call, this.#app.tasks.get(name))
      : { to, mustRoute: true, entities: NOTHING, priority, deliveryMode: undefined, plan: undefined };
  }

  /**
   * The call as a message, and what its caller gets: a result, noted among the children of the task that sends. A promise only where it
   * is compressed, or takes a way that must be declared. `way` is its route, where that is known already.
   */
  pack(call: Call, scope: Scope, way?: AppRoute): AppParcel | Promise<AppParcel> {
    const app = this.#app;
    const { name, options } = call;
    const { settings, platform: { clock, host, ids } } = app;
    const parent = parentOf(scope);
    const route = way ?? this.route(call);
    const now = clock.now();
    const id = options.taskId ?? ids.uuid();
    const inherited = settings.taskInheritParentPriority ? parent?.priority : undefined;
    const spec = appSpec(
      call,
      {
        id,
        origin: this.#origin ??= anonNodename(host),
        replyTo: this.#oid ??= ids.uuid(),
        now,
        rootId: parent?.rootId,
        parentId: parent?.taskId,
        priority: route.priority ?? inherited ?? settings.taskDefaultPriority,
        deliveryMode: route.deliveryMode ?? settings.taskDefaultDeliveryMode,
      },
      settings.timezone === undefined && settings.enableUtc ? undefined : (ms) => app.instant(ms),
    );
    const message = packTask(spec, packOptions(options, settings));
    const sent = (): AsyncResult<unknown> => {
      const result = new AsyncResult<unknown>(id, app);
      if (parent !== undefined && options.addToParent !== false) parent.note(result);
      return result;
    };
    const { retryPolicy } = options;
    const policy = retryPolicy && { policy: readPolicy(retryPolicy, "retryPolicy") };
    const parcel = (ready: Message, { to, mustRoute, entities } = route): AppParcel => ({
      what: `${name}[${id}]`,
      options,
      ...policy,
      to,
      mustRoute,
      entities,
      message: ready,
      now,
      sent,
    });
    const delayed = this.#delayed.way(route, options, now);
    if (delayed !== undefined) {
      return Promise.all([message, delayed]).then(([ready, by]) => parcel(ready, by));
    }
    return message instanceof Promise ? message.then((ready) => parcel(ready)) : parcel(message);
  }
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
