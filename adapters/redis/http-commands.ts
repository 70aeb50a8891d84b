/**
 * Commands over HTTP: what is asked for in one go is one request.
 *
 * @module
 */
import type { Role } from "./codes.ts";
import type { Command, CommandOptions, Commands } from "./client.ts";
import { refusal } from "./fault.ts";
import { faultOf, misfit } from "./http-fault.ts";
import type { Answer, HttpLink } from "./http-link.ts";
import { Trouble } from "./http-trouble.ts";

/** {@link Commands} over an {@link HttpLink}. */
export class HttpCommands implements Commands {
  readonly link: HttpLink;
  readonly #role: Role;

  constructor(link: HttpLink, role: Role = "backend") {
    this.link = link;
    this.#role = role;
  }

  async run(
    commands: readonly Command[],
    options: CommandOptions,
  ): Promise<readonly unknown[]> {
    const { signal } = options;
    signal?.throwIfAborted();
    const [only] = commands;
    const alone = commands.length === 1 && only !== undefined;
    const answer = await this.ask(alone ? [] : ["pipeline"], alone ? only : commands, options);
    signal?.throwIfAborted();
    if (!(answer instanceof Trouble)) {
      const all: unknown = alone ? [answer.result] : answer.result;
      if (!Array.isArray(all) || !commands.every((command, at) => fits(command, all[at]))) {
        throw faultOf(this.#role, this.link.address, misfit());
      }
      return all.map((one) => one instanceof Trouble ? refusal(one.text) : one);
    }
    // What Redis says of a command; the fault of a refused token is the same for all.
    if (alone && /^NOSCRIPT/.test(answer.text)) return [refusal(answer.text)];
    throw faultOf(this.#role, this.link.address, answer);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** One request, repeated where it may be. */
  protected ask(
    path: readonly string[],
    body: readonly unknown[],
    { signal, deadline, repeatable }: CommandOptions,
  ): Promise<Answer | Trouble> {
    const call = { ...(signal && { signal }), ...(deadline === undefined ? {} : { deadline }) };
    return this.link.ask(path, body, call, !repeatable);
  }
}

/** What answers with a list. */
const LISTS: ReadonlySet<string> = new Set([
  "hmget",
  "mget",
  "smembers",
  "zrange",
  "zrevrangebyscore",
  "zscan",
]);

/** Whether this can be the answer: a list where one was asked for, of a script anything (who runs it knows), else a text, a number or null. */
function fits([name, ...args]: Command, answer: unknown): boolean {
  if (answer instanceof Trouble || /^eval/.test(name)) return true;
  if (name === "mget") return isList(answer) && answer.length === args.length && answer.every(isPlain);
  return LISTS.has(name) ? isList(answer) : isPlain(answer);
}

function isList(answer: unknown): answer is readonly unknown[] {
  return Array.isArray(answer);
}

function isPlain(answer: unknown): boolean {
  return answer === null || typeof answer === "string" || typeof answer === "number";
}
