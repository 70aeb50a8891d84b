/**
 * A call as hooks see it, and may change it.
 *
 * @module
 */
import type { Destination } from "../broker.ts";
import { isRecord } from "../protocol/fields.ts";
import type { CallOptions } from "../result/sender.ts";
import type { Call } from "./compose.ts";
import type { Envelope } from "./hook-events.ts";

/** Opens the call for its hooks. Its id and its way stand, and what they change is this call's alone: the caller keeps its arguments, the task its options. */
export function envelopeOf({ name, args, kwargs, options }: Call, id: string, to: Destination): Envelope {
  const { exchange, routingKey } = to;
  const fixed = (value: unknown): PropertyDescriptor => ({ value, enumerable: true });
  const own = {
    // What is none of the kind is refused when the message is packed.
    args: Array.isArray(args) ? [...args as readonly unknown[]] : args,
    kwargs: isRecord(kwargs) ? { ...kwargs } : kwargs,
    headers: { ...options.headers },
  };
  const { headers } = options;
  const said = headers === undefined
    ? { ...options }
    : { ...options, headers: Object.freeze({ ...headers }) };
  return Object.defineProperties(own, {
    id: fixed(id),
    name: fixed(name),
    exchange: fixed(exchange),
    routingKey: fixed(routingKey),
    options: fixed(Object.freeze(said)),
  }) as Envelope;
}

/** The call as the hooks left it. */
export function callIn({ args, kwargs, headers, id }: Envelope, call: Call): Call {
  const options: CallOptions = { ...call.options, taskId: id };
  const own = Object.keys(headers).length > 0 || call.options.headers !== undefined;
  return { ...call, args, kwargs, options: own ? { ...options, headers } : options };
}
