/**
 * What is asked to be sent, made a call: by name, or from a signature as a peer wrote it.
 *
 * @module
 */
import { optionsFromWire } from "../canvas/options.ts";
import { merged } from "../canvas/signature.ts";
import { wireSignature } from "../canvas/wire-kinds.ts";
import { InvalidTaskError } from "../errors.ts";
import type { WireSignature } from "../protocol/signature.ts";
import type { SendOptions } from "../result/sender.ts";
import { type Call, checkOptions, NO_KWARGS } from "./compose.ts";

/** A call by name. */
export function callOf(name: string, options: SendOptions): Call {
  if (typeof name !== "string" || name === "") {
    throw new InvalidTaskError("task-invalid", "The name of a task is a text that is not empty.");
  }
  checkOptions(options);
  return { name, args: options.args ?? [], kwargs: options.kwargs ?? NO_KWARGS, options };
}

/** A signature as a peer wrote it, as a call: its options under those given, by Celery's rules of merging. */
export function wireCall(signature: WireSignature, leading: readonly unknown[], options: SendOptions): Call {
  const { task, args, kwargs, options: own, subtask_type: kind, immutable } = wireSignature(
    signature,
    "The signature",
  );
  if (kind !== null && kind !== undefined) {
    throw new InvalidTaskError(
      "signature-unsupported",
      `A signature of type ${JSON.stringify(String(kind).slice(0, 40))} cannot be sent yet.`,
    );
  }
  const wire = optionsFromWire(own ?? {});
  const parts = {
    task,
    args: args ?? [],
    kwargs: kwargs ?? NO_KWARGS,
    options: wire.options,
    immutable: immutable === true,
  };
  const all = merged(parts, leading, options);
  return { name: task, args: all.args ?? [], kwargs: all.kwargs ?? NO_KWARGS, options: all, wire };
}

/** What the call says, and where it says nothing, the declaration. */
export function over(defaults: SendOptions, options: SendOptions): SendOptions {
  const all: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(options)) if (value !== undefined) all[name] = value;
  return all;
}
