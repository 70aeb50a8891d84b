/**
 * A message that is not to be run any more, put beside its queue for people to look at.
 *
 * @module
 */
import type { Entity, Outgoing, Verdict } from "../broker.ts";
import { freshCopy } from "../protocol/copy.ts";
import type { Request } from "./request.ts";

/** The queue of what `queue` could not get done. */
export function deadQueue(queue: string): string {
  return `${queue}.dead`;
}

/** Puts a copy into the dead queue, which is declared where it is not there. True once the broker has it. */
export async function bury(request: Request, reason: string, deliveries: number): Promise<boolean> {
  const { env, delivery } = request;
  const name = deadQueue(delivery.queue);
  const entity: Entity = { kind: "queue", name, durable: true, exclusive: false, autoDelete: false };
  const deadline = env.now() + env.settings.publishTimeout;
  const copy = copyOf(request, name, reason, deliveries);
  const broker = env.app.broker();
  const put = async (declare: readonly Entity[]): Promise<Verdict | undefined> =>
    (await broker.publish([copy], { declare, deadline }))[0];
  // A queue of that name may stand with other arguments, and takes it all the same.
  const verdict = await put([entity]).catch(() => put([]));
  return verdict?.is === "confirmed";
}

/** As it came, with notes in its headers. */
function copyOf({ env, delivery }: Request, name: string, reason: string, deliveries: number): Outgoing {
  const { message, queue } = delivery;
  return {
    message: freshCopy(message, {
      "celeriac-dead-reason": reason,
      "celeriac-dead-queue": queue,
      "celeriac-dead-count": deliveries,
      "celeriac-dead-time": new Date(env.now()).toISOString(),
    }),
    to: { exchange: "", routingKey: name },
    mustRoute: true,
  };
}
