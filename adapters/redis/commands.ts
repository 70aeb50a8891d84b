/**
 * Commands over a link: each call settles by its deadline, what may be repeated is, what may not is told.
 *
 * @module
 */
import { type CeleriacError, ConnectionError } from "../../src/errors.ts";
import type { Command, CommandOptions, Commands } from "./client.ts";
import { closed, fault, isPassing, isPassingFault, isRefusal, late, NotSent } from "./fault.ts";
import { type Connection, Link, type LinkOptions } from "./link.ts";
import { Patience } from "./patience.ts";

/** The pause before a server that asked for one (LOADING, READONLY) is asked again, ms. */
const PASSING_PAUSE = 100;

/** {@link Commands} over a {@link Link}. */
export class LinkCommands implements Commands {
  readonly #link: Link;
  /** Counts `close()`: what was under way before it is not taken up again after it. */
  #closes = 0;

  constructor(options: LinkOptions) {
    this.#link = new Link(options);
  }

  async run(commands: readonly Command[], options: CommandOptions): Promise<readonly unknown[]> {
    const { platform: { clock }, commandTimeout, subject } = this.#link.options;
    options.signal?.throwIfAborted();
    const begun = clock.now();
    const closes = this.#closes;
    const trail = options.trail ?? { attempts: 0 };
    const deadline = options.deadline ?? begun + commandTimeout;
    if (deadline <= begun) throw late("an answer", 0, subject);
    let trouble: CeleriacError | undefined;
    const patience = new Patience(clock, {
      signal: options.signal,
      deadline,
      late: () => trouble ?? late("an answer", deadline - begun, subject),
    });
    try {
      for (;;) {
        if (closes !== this.#closes) throw closed(subject);
        let connection: Connection;
        try {
          connection = this.#link.connection ?? await patience.for(this.#link.up());
        } catch (error) {
          // The first attempt ever is told at once; a server that was there is waited for, with the link's own pauses between.
          const waits = this.#link.wasUp || options.patient === true;
          if (patience.over || !waits || !isPassingFault(error)) throw error;
          trouble = error;
          continue;
        }
        const sent = clock.now();
        trail.attempts += 1;
        try {
          const answers = await patience.for(connection.send(commands));
          const [first] = answers;
          this.#link.proven();
          if (
            !(first instanceof Error &&
              answers.every((answer) => isRefusal(answer) && isPassing(answer.message)))
          ) {
            return answers;
          }
          // None of them was carried out.
          trail.attempts -= 1;
          trouble = fault(first, subject);
          if (first.message.startsWith("READONLY")) this.#link.drop(connection, trouble);
          await patience.pause(PASSING_PAUSE);
        } catch (error) {
          if (error instanceof NotSent) trail.attempts -= 1;
          if (closes !== this.#closes) throw closed(subject);
          if (patience.over) {
            // A full term of silence: the others behind us need not wait as long to learn it.
            if (clock.now() - sent >= commandTimeout) this.#link.drop(connection, error);
            throw error;
          }
          this.#link.drop(connection, error);
          trouble = lostUnderWay(error, options.repeatable, fault(error, subject));
          if (!options.repeatable && !(error instanceof NotSent)) throw trouble;
        }
      }
    } finally {
      patience.end();
    }
  }

  /** The same until the next `close()`. What says goodbye after that, unheard, would open the link again, and nobody would close that. */
  session(): Commands {
    const closes = this.#closes;
    return {
      run: async (commands, options) => {
        if (closes !== this.#closes) throw closed(this.#link.options.subject);
        return await this.run(commands, options);
      },
      close: () => Promise.resolve(),
    };
  }

  close(): Promise<void> {
    this.#closes += 1;
    return this.#link.close();
  }
}

function lostUnderWay(error: unknown, repeatable: boolean, plain: CeleriacError): CeleriacError {
  if (repeatable || error instanceof NotSent) return plain;
  return new ConnectionError(plain.code, plain.message, {
    cause: plain.cause,
    hint: "The command was on its way: it may have been carried out or not.",
  });
}
