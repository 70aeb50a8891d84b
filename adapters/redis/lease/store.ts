/**
 * Claims, settlements and leases of one consumer, over any carrier of commands.
 *
 * @module
 */
import type { Clock } from "../../../src/lib/port.ts";
import type { Commands, Trail } from "../client.ts";
import { fault, misfit, refusal, type Subject } from "../fault.ts";
import { runScript, type Script, type ScriptCall } from "../scripts.ts";
import {
  type Claim,
  type Claimant,
  claimCall,
  FLEET_MEMORY,
  readClaim,
  seconds,
  type Want,
} from "./claim.ts";
import type { LeaseKeys } from "./keys.ts";
import { RENEW } from "./scripts.ts";
import { type Ending, settleCall } from "./settle.ts";

/** Tags renewed by one script. */
const TAGS = 1000;

/** What it stands on. */
export interface LeaseParts {
  readonly commands: Commands;
  readonly keys: LeaseKeys;
  readonly subject: Subject;
  readonly clock: Clock;
}

/** See the module. Every call throws the coded error of its failure. */
export class LeaseStore {
  readonly #parts: LeaseParts;
  readonly #claimant: Claimant;
  /** What the server was sent as text. */
  readonly #seen: Set<Script> = new Set();
  /** The number of the next claim's first message. */
  #next = 1;

  constructor(parts: LeaseParts, claimant: Claimant) {
    this.#parts = parts;
    this.#claimant = claimant;
  }

  /**
   * Takes messages. What a claim took whose answer was lost comes with the next one, so that it may be of other queues than were asked for.
   */
  async claim(wants: readonly Want[]): Promise<Claim> {
    const { clock, keys, subject } = this.#parts;
    const { id } = this.#claimant;
    const first = this.#next;
    const answer = await this.#run(claimCall(keys, this.#claimant, wants, first, clock.now()));
    const claim = readClaim(answer, id, wants, first);
    if (claim === undefined) throw misfit(subject);
    this.#next = claim.next;
    return claim;
  }

  /**
   * Settles; true for each that was still ours, or may have been: the server answered that it was gone, after an earlier attempt whose answer
   * was lost. An error for each that its list did not take: it is still where it was.
   */
  async settle(endings: readonly Ending[], trail: Trail): Promise<readonly (boolean | Error)[]> {
    const { clock, keys, subject } = this.#parts;
    const answer = await this.#run(settleCall(keys, endings, clock.now()), { trail });
    if (!Array.isArray(answer) || answer.length !== endings.length) throw misfit(subject);
    return answer.map((one) => {
      const count = Number(one);
      return Number.isNaN(count) ? fault(refusal(one), subject) : count === 1 || trail.attempts > 1;
    });
  }

  /** Says that the consumer lives and renews the leases of these tags; answers those that are lost. */
  async renew(tags: readonly string[]): Promise<readonly string[]> {
    const { clock, keys, subject } = this.#parts;
    const { consumerTimeout, id } = this.#claimant;
    const gone: string[] = [];
    for (let at = 0; at === 0 || at < tags.length; at += TAGS) {
      const answer = await this.#run({
        script: RENEW,
        keys: [keys.unacked, keys.index, keys.beat(id), keys.fleet],
        args: [
          ...[seconds(clock.now()), consumerTimeout, consumerTimeout + FLEET_MEMORY, id],
          ...tags.slice(at, at + TAGS),
        ],
      });
      if (!Array.isArray(answer)) throw misfit(subject);
      gone.push(...answer.map(String));
    }
    return gone;
  }

  /** Nothing is held any more: the consumer is forgotten. */
  async leave(deadline: number): Promise<void> {
    const { commands, keys, subject } = this.#parts;
    const { id } = this.#claimant;
    try {
      await commands.run([["del", keys.beat(id)], ["zrem", keys.fleet, id]], { repeatable: true, deadline });
    } catch (error) {
      throw fault(error, subject);
    }
  }

  async #run(
    { script, keys, args }: ScriptCall,
    options: { readonly trail?: Trail } = {},
  ): Promise<unknown> {
    const unseen = !this.#seen.has(script);
    this.#seen.add(script);
    try {
      return await runScript(
        this.#parts.commands,
        script,
        keys,
        args,
        { ...options, repeatable: true },
        unseen,
      );
    } catch (error) {
      throw fault(error, this.#parts.subject);
    }
  }
}
