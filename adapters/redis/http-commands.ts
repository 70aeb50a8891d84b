/**
 * The result backend's commands over HTTP: what is asked for in one go is one request.
 *
 * @module
 */
import type { Command, CommandOptions, Commands } from "./client.ts";
import { refusal } from "./fault.ts";
import { faultOf, misfit } from "./http-fault.ts";
import type { HttpLink } from "./http-link.ts";
import { Trouble } from "./http-trouble.ts";

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
    if (!(answer instanceof Trouble)) {
      const all: unknown = alone ? [answer.result] : answer.result;
      if (!Array.isArray(all) || !commands.every((command, at) => fits(command, all[at]))) {
        throw faultOf("backend", this.#link.address, misfit());
      }
      return all.map((one) => one instanceof Trouble ? refusal(one.text) : one);
    }
    // What Redis says of a command; the fault of a refused token is the same for all.
    if (alone && /^NOSCRIPT/.test(answer.text)) return [refusal(answer.text)];
    throw faultOf("backend", this.#link.address, answer);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Whether this can be the answer: a list for MGET and for the script that has two arguments for each key, else a text, a number or null. */
function fits([name, ...args]: Command, answer: unknown): boolean {
  if (answer instanceof Trouble) return true;
  if (name === "mget") return isList(answer, args.length);
  const keys = Number(args[1]);
  return /^eval/.test(name) && args.length === 2 + 3 * keys ? isList(answer, keys) : isPlain(answer);
}

function isList(answer: unknown, length: number): boolean {
  return Array.isArray(answer) && answer.length === length && answer.every(isPlain);
}

function isPlain(answer: unknown): boolean {
  return answer === null || typeof answer === "string" || typeof answer === "number";
}
