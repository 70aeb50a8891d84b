/**
 * Commands over HTTP: what is asked for in one go is one request.
 *
 * @module
 */
import type { Call } from "../../src/broker.ts";
import type { Role } from "./codes.ts";
import type { Command, CommandOptions, Commands, Trail } from "./client.ts";
import { refusal } from "./fault.ts";
import { faultOf, misfit } from "./http-fault.ts";
import type { Answer, HttpLink } from "./http-link.ts";
import { passes, Trouble } from "./http-trouble.ts";

/** The pause before what is counted is sent again, ms. */
const PAUSE = 100;

/** {@link Commands} over an {@link HttpLink}. */
export class HttpCommands implements Commands {
  readonly #link: HttpLink;
  readonly #role: Role;

  constructor(link: HttpLink, role: Role = "backend") {
    this.#link = link;
    this.#role = role;
  }

  async run(
    commands: readonly Command[],
    { signal, deadline, repeatable, trail }: CommandOptions,
  ): Promise<readonly unknown[]> {
    signal?.throwIfAborted();
    const [only] = commands;
    const alone = commands.length === 1 && only !== undefined;
    const path = alone ? [] : ["pipeline"];
    const body = alone ? only : commands;
    const call = { ...(signal && { signal }), ...(deadline === undefined ? {} : { deadline }) };
    const answer = trail === undefined
      ? await this.#link.ask(path, body, call, !repeatable)
      : await this.#counted(path, body, call, trail);
    signal?.throwIfAborted();
    if (!(answer instanceof Trouble)) {
      const all: unknown = alone ? [answer.result] : answer.result;
      if (!Array.isArray(all) || !commands.every((command, at) => fits(command, all[at]))) {
        throw faultOf(this.#role, this.#link.address, misfit());
      }
      return all.map((one) => one instanceof Trouble ? refusal(one.text) : one);
    }
    // What Redis says of a command; the fault of a refused token is the same for all.
    if (alone && /^NOSCRIPT/.test(answer.text)) return [refusal(answer.text)];
    throw faultOf(this.#role, this.#link.address, answer);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The link would repeat by itself, and tell nobody how often. */
  async #counted(
    path: readonly string[],
    body: readonly unknown[],
    call: Call,
    trail: Trail,
  ): Promise<Answer | Trouble> {
    const { platform: { clock }, timeout } = this.#link;
    const end = call.deadline ?? clock.now() + timeout;
    for (;;) {
      trail.attempts += 1;
      // Half of what is left, so that there is time for another one.
      const deadline = Math.min(end, clock.now() + Math.max(1000, (end - clock.now()) / 2));
      const answer = await this.#link.ask(path, body, { ...call, deadline }, true);
      if (!(answer instanceof Trouble)) return answer;
      if (!answer.doubt) trail.attempts -= 1;
      if (!passes(answer) || call.signal?.aborted || clock.now() + PAUSE >= end) return answer;
      await new Promise<void>((resolve) => void clock.after(PAUSE, resolve));
    }
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
