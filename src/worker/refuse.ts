/**
 * Messages that no task is made of: of a name that nobody registered, or that cannot be read.
 *
 * @module
 */
import type { Delivery } from "../broker.ts";
import { own } from "../protocol/fields.ts";
import { queueName } from "../protocol/task.ts";
import type { Env } from "./env.ts";
import { invalidTask, label, undecodable, unknownMessage, unknownTask } from "./lines.ts";
import { celeryException } from "./outcome.ts";
import { recordOfUnread } from "./record.ts";
import { decideUnread, type Decision } from "./strategy.ts";
import { tellRejected, tellUnknown } from "./tell.ts";

/** What is done with a message without running it. */
type Refusal = Extract<Decision, { do: "reject" | "drop" }>;

/** Rejects a task that is not registered here; whoever waits for it learns so first. */
export function rejectUnregistered(env: Env, delivery: Delivery, name: string, id: unknown): void {
  env.logger.log("error", unknownTask(delivery, name), { taskName: name });
  tellUnknown(env, delivery, name, id);
  const refusal = { do: "reject", why: "unregistered" } as const;
  // Where there is no id, nobody can ask for the result; a Python worker dies of such a message.
  if (typeof id !== "string" || id === "") return dismiss(env, delivery, refusal);
  const state = { status: "FAILURE", result: celeryException("NotRegistered", name), traceback: null };
  const replyTo = queueName(own(delivery.message.properties, "reply_to"));
  const stored = env.store(recordOfUnread(env, id, state), replyTo, {
    label: label(name, id),
    about: { taskId: id, taskName: name },
  });
  // Never rejects. What comes next has no room in the window before, however slow the backend is.
  void env.during(stored.then(() => dismiss(env, delivery, refusal)));
}

/** Rejects or drops what cannot be read. */
export function refuseUnread(env: Env, delivery: Delivery, error: unknown): void {
  const decision = decideUnread(error);
  if (decision.do !== "reject" && decision.do !== "drop") return;
  try {
    tellUnread(env, delivery, decision, error instanceof Error ? error : new Error(String(error)));
  } catch {
    // A message whose very headers cannot be read.
    env.logger.log("critical", "Can't decode message: its headers cannot be read.", { error });
  }
  tellRejected(env, delivery, error);
  dismiss(env, delivery, decision);
}

function tellUnread({ logger }: Env, delivery: Delivery, decision: Refusal, error: Error): void {
  if (decision.do === "drop") logger.log("critical", undecodable(delivery, error), { error });
  else if (decision.why === "unknown") logger.log("warning", unknownMessage(delivery), { error });
  else logger.log("error", invalidTask(delivery, error), { error });
}

function dismiss(env: Env, delivery: Delivery, decision: Refusal): void {
  env.probe?.dismissed(delivery, decision.why);
  void env.settle(delivery, { as: decision.do === "drop" ? "ack" : "reject" });
}
