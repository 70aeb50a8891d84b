/**
 * The result backend's commands over HTTP: what is asked for in one go is one request.
 *
 * @module
 */
import type { Command, CommandOptions, Commands } from "./client.ts";
import { refusal } from "./fault.ts";
import { faultOf } from "./http-fault.ts";
import { type HttpLink, isTrouble } from "./http-link.ts";

/** {@link Commands} over an {@link HttpLink}. */
export class HttpCommands implements Commands {
  readonly #link: HttpLink;

  constructor(link: HttpLink) {
    this.#link = link;
  }

  async run(
    commands: readonly Command[],
    { signal, deadline, repeatable }: CommandOptions,
  ): Promise<readonly unknown[]> {
    signal?.throwIfAborted();
    const [only] = commands;
    const alone = commands.length === 1 && only !== undefined;
    const call = { ...(signal && { signal }), ...(deadline === undefined ? {} : { deadline }) };
    const answer = await this.#link.ask(
      alone ? [] : ["pipeline"],
      alone ? only : commands,
      call,
      !repeatable,
    );
    signal?.throwIfAborted();
    if ("result" in answer) {
      const all = (alone ? [answer.result] : answer.result) as readonly unknown[];
      return all.map((one) => isTrouble(one) ? refusal(one.text) : one);
    }
    // What Redis says of a command; the fault of a refused token is the same for all.
    if (alone && /^NOSCRIPT/.test(answer.text)) return [refusal(answer.text)];
    throw faultOf("backend", this.#link.address, answer);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
