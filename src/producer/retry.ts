/**
 * How a refused publish is repeated: Celery's `task_publish_retry_policy`.
 *
 * @module
 */
import { toMs } from "../lib/duration.ts";
import { checkNames } from "../lib/options.ts";
import type { RetryPolicy } from "../result/sender.ts";
import { demand } from "../lib/demand.ts";
import type { PublishRetryPolicy } from "./settings.ts";

/** Celery's default, in ms. */
export const RETRY_POLICY: PublishRetryPolicy = {
  maxRetries: 3,
  intervalStart: 0,
  intervalStep: 200,
  intervalMax: 1000,
};

/**
 * The policy in ms; what it does not say is the default, and null repeats without end. Throws `ConfigurationError` "option-unknown",
 * "duration-invalid", "option-invalid".
 */
export function readPolicy(policy: RetryPolicy, name: string): PublishRetryPolicy {
  const read: Record<string, number> = { ...RETRY_POLICY };
  checkNames(name, policy, Object.keys(read));
  for (const [key, value] of Object.entries(policy)) {
    if (value !== undefined) {
      read[key] = key === "maxRetries" ? value ?? Infinity : toMs(value, `${name}.${key}`);
    }
  }
  demand(read["maxRetries"] as number >= 0, `${name}.maxRetries`, "a number from 0, or null");
  return read as { readonly [K in keyof PublishRetryPolicy]: number };
}
