/**
 * Commands over HTTP for who must know how often they may have been carried out.
 *
 * @module
 */
import { pause } from "../../src/lib/pause.ts";
import type { CommandOptions } from "./client.ts";
import { HttpCommands } from "./http-commands.ts";
import type { Answer } from "./http-link.ts";
import { passes, Trouble } from "./http-trouble.ts";

/** The pause before it is sent again, ms. */
const PAUSE = 100;

/** The shortest time of an attempt, ms; else it is half of what is left, so that there is time for another one. */
const SHORTEST = 1000;

/** {@link HttpCommands} that count. */
export class HttpTrail extends HttpCommands {
  /** The link would repeat by itself, and tell nobody how often. */
  protected override async ask(
    path: readonly string[],
    body: readonly unknown[],
    options: CommandOptions,
  ): Promise<Answer | Trouble> {
    const { signal, trail } = options;
    if (trail === undefined) return await super.ask(path, body, options);
    const { platform: { clock }, timeout } = this.link;
    const end = options.deadline ?? clock.now() + timeout;
    for (;;) {
      trail.attempts += 1;
      const deadline = Math.min(end, clock.now() + Math.max(SHORTEST, (end - clock.now()) / 2));
      const answer = await super.ask(path, body, { ...options, deadline, repeatable: false });
      if (!(answer instanceof Trouble)) return answer;
      if (!answer.doubt) trail.attempts -= 1;
      if (!passes(answer) || signal?.aborted || clock.now() + PAUSE >= end) return answer;
      await pause(clock, PAUSE, signal);
    }
  }
}
