/**
 * A call as hooks see it, and may change it.
 *
 * @module
 */
import type { Destination } from "../broker.ts";
import type { CallOptions } from "../result/sender.ts";
import type { Call } from "./compose.ts";
import type { Envelope } from "./hook-events.ts";

/** Opens the call for its hooks. Its id and its way stand. */
export function envelopeOf({ name, args, kwargs, options }: Call, id: string, to: Destination): Envelope {
  const { exchange, routingKey } = to;
  const fixed = (value: unknown): PropertyDescriptor => ({ value, enumerable: true });
  return Object.defineProperties({ args, kwargs, headers: { ...options.headers } }, {
    id: fixed(id),
    name: fixed(name),
    exchange: fixed(exchange),
    routingKey: fixed(routingKey),
    options: fixed(options),
  }) as Envelope;
}

/** The call as the hooks left it. */
export function callIn({ args, kwargs, headers, id }: Envelope, call: Call): Call {
  const options: CallOptions = { ...call.options, taskId: id };
  const own = Object.keys(headers).length > 0 || call.options.headers !== undefined;
  return { ...call, args, kwargs, options: own ? { ...options, headers } : options };
}
