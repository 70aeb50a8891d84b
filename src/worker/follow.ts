/**
 * What comes after a task: links and the rest of the chain after a success, error callbacks and the chain's end after a failure.
 *
 * @module
 */
import type { WireSignature } from "../protocol/signature.ts";
import type { AsyncResult } from "../result/async-result.ts";
import type { ResultTuple } from "../result/tuple.ts";
import { exceptionRepr } from "./lines.ts";
import { failed, failureOf } from "./outcome.ts";
import { recordOfChained } from "./record.ts";
import type { Request } from "./request.ts";

/** How many tasks of a chain that has ended are told at a time: a long one would flood the backend, each record with the whole traceback. */
const AT_ONCE = 32;

/** Whether anything follows a success. */
export function hasSuccessors({ message: { embed } }: Request): boolean {
  return (embed.callbacks?.length ?? 0) > 0 || (embed.chain?.length ?? 0) > 0;
}

/** Whether a failure concerns other tasks. */
export function concernsOthers({ message: { embed } }: Request): boolean {
  return (embed.errbacks?.length ?? 0) > 0 || (embed.chain?.length ?? 0) > 0;
}

/** Sends links and the next task of the chain with the task's result; resolves when all are confirmed, throws the first error. */
export async function sendSuccessors(request: Request, value: unknown): Promise<void> {
  const { callbacks, chain } = request.message.embed;
  const sent: Promise<unknown>[] = [];
  const links = callbacks?.filter((link) => !wasSent(request, link)) ?? [];
  if (links.length > 0) sent.push(sendLinks(request, links, value));
  const next = chain?.at(-1);
  if (next !== undefined && !wasSent(request, next)) {
    sent.push(sendNext(request, next, chain?.slice(0, -1) ?? [], value));
  }
  await all(sent);
}

/** Whether an earlier run has sent it: what it had sent is stored with its success. */
function wasSent({ known }: Request, { options }: WireSignature): boolean {
  const id = options["task_id"];
  return typeof id === "string" && known?.children.has(id) === true;
}

/** The chain ends here: each task that was to come has this failure, and the error callbacks go out; what cannot be sent is told. */
export async function tellOthers(request: Request): Promise<void> {
  const { env, keepsErrors, message, outcome } = request;
  const state = failureOf(outcome);
  const chained = keepsErrors ? message.embed.chain ?? [] : [];
  const left = chained.values();
  const lane = async (): Promise<void> => {
    for (const signature of left) {
      const record = recordOfChained(request, signature, state);
      if (record !== undefined) await env.store(record, message.replyTo, request);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, chained.length) }, lane));
  try {
    await sendErrbacks(request);
  } catch (error) {
    const { exception, traceback } = failed(error);
    const line = `Task ${request.label} could not send its error callbacks: ${exceptionRepr(exception)}`;
    env.logger.log("error", line, { ...request.about, code: "errback-failed", error, traceback });
  }
}

/** Sends the error callbacks, each with the id of the failed task (Celery's old style: the new one is a Python call). */
async function sendErrbacks(request: Request): Promise<void> {
  const { embed: { errbacks }, id } = request.message;
  await sendGroup(request, errbacks ?? [], id);
}

/** Celery applies one link directly, and several as a group. */
async function sendLinks(
  request: Request,
  callbacks: readonly WireSignature[],
  value: unknown,
): Promise<void> {
  const [only, ...others] = callbacks;
  if (only !== undefined && others.length === 0) await send(request, only, value, {});
  else request.children.push(await sendGroup(request, callbacks, value));
}

/** `chain` is reversed: the next task stands last, and what is before it goes on as the next one's chain. */
async function sendNext(
  request: Request,
  next: WireSignature,
  rest: readonly WireSignature[],
  value: unknown,
): Promise<void> {
  await send(request, next, value, rest.length === 0 ? {} : { chain: rest });
}

async function sendGroup(
  request: Request,
  members: readonly WireSignature[],
  value: unknown,
): Promise<ResultTuple> {
  const groupId = request.env.app.platform.ids.uuid();
  const sent = await all(
    members.map((member, groupIndex) =>
      send(request, member, value, { groupId, groupIndex, addToParent: false })
    ),
  );
  return [[groupId, null], sent.map((result) => result.asTuple())];
}

function send(
  request: Request,
  signature: WireSignature,
  value: unknown,
  options: Parameters<Request["env"]["app"]["sendSignature"]>[2],
): Promise<AsyncResult<unknown>> {
  return request.env.app.sendSignature(signature, [value], options, request.scope);
}

/** Waits for every one, then throws the first error: none may go on unseen behind a result that is stored already. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((each) => {
    if (each.status === "rejected") throw each.reason;
    return each.value;
  });
}
