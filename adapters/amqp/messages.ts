/**
 * What the broker says of the messages of a queue.
 *
 * @module
 */
import { channelError, sentenceOf } from "./errors.ts";

/** The count that it answered with; 0 where there is no such queue. */
export async function messagesIn(
  queue: string,
  answer: Promise<{ readonly messageCount: number }>,
): Promise<number> {
  try {
    return (await answer).messageCount;
  } catch (error) {
    if (sentenceOf(error)?.code === 404) return 0;
    throw channelError({ kind: "queue", name: queue }, error);
  }
}
