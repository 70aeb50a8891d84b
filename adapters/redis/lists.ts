/**
 * What waits in a queue on Redis: a list for each step of priority, and what is parked.
 *
 * @module
 */
import type { Command } from "./client.ts";
import { misfit, type Subject } from "./fault.ts";
import { STEPS } from "./kombu.ts";
import type { LeaseKeys } from "./lease/keys.ts";
import { checkQueue } from "./reserved.ts";

/** The lists of the queues of one broker. */
export class QueueLists {
  readonly #keys: LeaseKeys;
  readonly #ask: (commands: readonly Command[]) => Promise<readonly unknown[]>;
  readonly #subject: Subject;

  /** `ask` throws the coded error of the first command that is refused. */
  constructor(
    keys: LeaseKeys,
    ask: (commands: readonly Command[]) => Promise<readonly unknown[]>,
    subject: Subject,
  ) {
    this.#keys = keys;
    this.#ask = ask;
    this.#subject = subject;
  }

  /** How many messages wait. */
  count(queue: string): Promise<number> {
    return this.#lengths(queue, []);
  }

  /** Takes away what waits; how many that were. */
  purge(queue: string): Promise<number> {
    return this.#lengths(queue, [["del", ...this.#keys.lists(queue)]]);
  }

  /** Empties a queue that is gone, with what waits for its instant; the number of messages. */
  async clear(queue: string): Promise<number> {
    const { index, unacked } = this.#keys;
    const parked = this.#keys.parked(queue);
    const [tags] = await this.#ask([["zrange", parked, 0, -1]]);
    const waiting = Array.isArray(tags) ? tags.map(String) : [];
    if (waiting.length > 0) {
      await this.#ask([["hdel", unacked, ...waiting], ["zrem", index, ...waiting], ["del", parked]]);
    }
    return waiting.length + await this.purge(queue);
  }

  async #lengths(queue: string, more: readonly Command[]): Promise<number> {
    checkQueue(queue);
    const lists = this.#keys.lists(queue);
    const asked: Command[] = [["multi"], ...lists.map((list): Command => ["llen", list]), ...more, ["exec"]];
    const answer = (await this.#ask(asked)).at(-1);
    if (!Array.isArray(answer) || answer.length !== asked.length - 2) throw misfit(this.#subject);
    return answer.slice(0, STEPS.length).reduce<number>((sum, length) => sum + Number(length), 0);
  }
}
