/**
 * Small facts of our own (revokes, redelivery counts, locks): one string key each, and no key without an expiry.
 *
 * @module
 */
import type { Facts } from "../../src/backend.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { Command, Commands } from "./client.ts";
import { fault, misfit, type Subject } from "./fault.ts";
import type { Keys } from "./keys.ts";
import { BUMP_FACT, runScript } from "./scripts.ts";

/** {@link Facts} in Redis. What may not happen twice is sent once: its error says when the outcome is unknown. */
export class RedisFacts implements Facts {
  readonly #commands: Commands;
  readonly #keys: Keys;
  readonly #subject: Subject;

  constructor(commands: Commands, keys: Keys, subject: Subject) {
    this.#commands = commands;
    this.#keys = keys;
    this.#subject = subject;
  }

  async get(key: string): Promise<string | undefined> {
    return await this.#one(["get", this.#keys.fact(key)], true) as string | null ?? undefined;
  }

  async put(
    key: string,
    value: string,
    { ttl, ifAbsent = false }: { readonly ttl: number; readonly ifAbsent?: boolean },
  ): Promise<boolean> {
    const set: Command = ["set", this.#keys.fact(key), value, "PX", wholeMs(ttl)];
    return await this.#one(ifAbsent ? [...set, "NX"] : set, !ifAbsent) !== null;
  }

  async bump(key: string, { ttl }: { readonly ttl: number }): Promise<number> {
    const args = [wholeMs(ttl)];
    let count: unknown;
    try {
      count = await runScript(this.#commands, BUMP_FACT, [this.#keys.fact(key)], args, { repeatable: false });
    } catch (error) {
      throw fault(error, this.#subject);
    }
    if (typeof count !== "number" && typeof count !== "string") throw misfit(this.#subject);
    return Number(count);
  }

  async #one(command: Command, repeatable: boolean): Promise<unknown> {
    const [answer] = await this.#commands.run([command], { repeatable });
    if (answer instanceof Error) throw fault(answer, this.#subject);
    return answer;
  }
}

function wholeMs(ttl: number): number {
  if (Number.isFinite(ttl) && ttl > 0) return Math.ceil(ttl);
  throw new ConfigurationError("fact-ttl-invalid", `A fact needs an expiry in ms, more than 0: ${ttl}.`);
}
