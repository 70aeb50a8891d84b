/**
 * A message that was handed out before is looked at before it runs: it may have succeeded already, or be one that ends its worker.
 *
 * @module
 */
import { bury } from "./bury.ts";
import type { KnownSuccess } from "./known.ts";
import { exceptionRepr } from "./lines.ts";
import { failed } from "./outcome.ts";
import { poisoned } from "./poison.ts";
import type { Request } from "./request.ts";

/** What is done with it. */
export type Look =
  | { readonly do: "run" }
  /** It has succeeded: what follows it is sent, and it is acked. */
  | { readonly do: "skip"; readonly known: KnownSuccess }
  /** It began too often: beside its queue. */
  | { readonly do: "bury"; readonly deliveries: number }
  /** The worker stops, and it has not begun. */
  | { readonly do: "giveBack" }
  /** Its link was lost meanwhile: it comes again, and is looked at then. */
  | { readonly do: "leave" };

/** Whether there is anything to look at: only under late ack does a message come again that has begun. */
export function isDoubtful({ acksLate, delivery, env: { settings } }: Request): boolean {
  return acksLate && (delivery.redelivered || settings.workerDeduplicateSuccessfulTasks === "always");
}

/** Looks; counts the start where it is to run. */
export async function look(request: Request): Promise<Look> {
  const { starts, stopping, successes } = request.env;
  let lost = false;
  using _watch = request.delivery.onLost(() => lost = true);
  const known = await successes.of(request);
  if (lost) return { do: "leave" };
  if (known !== undefined) return { do: "skip", known };
  const deliveries = await starts.examine(request, () => lost || stopping.aborted);
  if (lost) {
    // It was counted meanwhile, and does not begin.
    void starts.takeBack(request);
    return { do: "leave" };
  }
  if (deliveries !== undefined) return { do: "bury", deliveries };
  // What is counted has begun.
  return { do: stopping.aborted && !request.isCounted ? "giveBack" : "run" };
}

/** The message is put beside its queue and the task fails; where that cannot be done it goes back, and is not run when it comes again. */
export async function putAside(request: Request, deliveries: number): Promise<boolean> {
  const { env, about, label } = request;
  const error = poisoned(request, deliveries);
  try {
    if (await bury(request, error.code, deliveries)) {
      env.probe?.dismissed(request.delivery, error.code);
      request.outcome = failed(error);
      return true;
    }
    throw new Error("the broker did not confirm the copy");
  } catch (reason) {
    const line = `Task ${label} could not be put aside: ${exceptionRepr(failed(reason).exception)}`;
    env.logger.log("error", line, { ...about, code: "dead-unsent", error: reason });
    request.unsent = true;
    return false;
  }
}
