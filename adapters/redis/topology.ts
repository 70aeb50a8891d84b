/**
 * What becomes of the queues and exchanges that a program names. On kombu's wire a queue is nothing but its bindings: its list is there while
 * messages lie in it, and an exchange is a word.
 *
 * @module
 */
import type { Call, Entity, Outgoing, PublishOptions, Verdict } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";
import type { Commands } from "./client.ts";
import { Fanouts } from "./fanouts.ts";
import { fault, type Subject } from "./fault.ts";
import { bindingKey, SEPARATOR } from "./kombu.ts";
import { bind, type Packer } from "./packer.ts";
import type { RedisPublisher } from "./publisher.ts";
import { checkEntities } from "./reserved.ts";

/** "declare" writes the bindings that are missing, "passive" asks for them, "leave" does neither. */
export type Topology = "declare" | "passive" | "leave";

/** What it stands on. */
export interface TopologyParts {
  readonly topology: Topology;
  readonly publisher: RedisPublisher;
  readonly packer: Packer;
  readonly commands: Commands;
  readonly clock: Pick<Clock, "now">;
  readonly subject: Subject;
  /** Where a call says nothing, ms. */
  readonly publishTimeout: number;
}

/** Bindings as this broker treats them. */
export class RedisTopology {
  readonly fanouts: Fanouts = new Fanouts();
  readonly #parts: TopologyParts;
  /** Bindings that were there, as far as we know. */
  #seen: Set<string> = new Set();

  constructor(parts: TopologyParts) {
    this.#parts = parts;
  }

  /** The server may be another one, or have lost its memory. */
  doubt(): void {
    this.#seen = new Set();
    this.#parts.publisher.doubt();
  }

  /** Throws `ConfigurationError` "queue-missing" where a binding is only asked for, and is not there. */
  declare(entities: readonly Entity[], call: Call = {}): Promise<void> {
    return this.#declare(entities, call, true);
  }

  /** `kept`: for good. What comes with a message may name anything. */
  async #declare(entities: readonly Entity[], call: Call, kept: boolean): Promise<void> {
    const { packer, publisher, topology } = this.#parts;
    const bound = this.fanouts.note(entities, packer.types, kept);
    if (topology === "declare") return await publisher.declare(bound, call);
    call.signal?.throwIfAborted();
    checkEntities(bound);
    // What is published must know the kinds of exchanges.
    const pairs = bind(packer, bound);
    if (topology === "passive") await this.#ask(pairs, call);
  }

  /** What is for a queue that went with its consumer reaches nobody, as with AMQP; a list made anew would stay for ever. */
  async publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const gone = batch.map(({ to }) => to.exchange === "" && this.fanouts.isGone(to.routingKey));
    if (!gone.includes(true)) return await this.#publish(batch, options);
    const verdicts = [...await this.#publish(batch.filter((_one, at) => gone[at] !== true), options)];
    return batch.map(({ mustRoute }, at) => {
      if (gone[at] === true) return { is: mustRoute ? "unroutable" : "confirmed" };
      return verdicts.shift() as Verdict;
    });
  }

  async #publish(batch: readonly Outgoing[], options: PublishOptions): Promise<readonly Verdict[]> {
    const { publisher, topology } = this.#parts;
    const { declare = [], ...rest } = options;
    if (topology === "declare" || declare.length === 0) return await publisher.publish(batch, options);
    await this.#declare(declare, rest, false);
    return await publisher.publish(batch, rest);
  }

  async #ask(pairs: readonly string[], call: Call): Promise<void> {
    const { clock, commands, packer: { prefix }, publishTimeout, subject } = this.#parts;
    const asked: (readonly [set: string, member: string])[] = [];
    for (let at = 0; at < pairs.length; at += 2) {
      const [set = "", member = ""] = pairs.slice(at, at + 2);
      if (!this.#seen.has(set + member)) asked.push([set, member]);
    }
    if (asked.length === 0) return;
    const answers = await commands.run(
      asked.map(([set, member]) => ["sismember", set, member] as const),
      { deadline: clock.now() + publishTimeout, ...call, repeatable: true },
    );
    for (const [at, [set, member]] of asked.entries()) {
      const answer = answers[at];
      if (answer instanceof Error) throw fault(answer, subject);
      if (Number(answer) !== 1) throw missing(set.slice((prefix + bindingKey("")).length), member);
      this.#seen.add(set + member);
    }
  }
}

function missing(exchange: string, member: string): ConfigurationError {
  const [key = "", , queue = ""] = member.split(SEPARATOR);
  return new ConfigurationError(
    "queue-missing",
    `The queue ${queue} is not bound to the exchange ${exchange} by the key ${JSON.stringify(key)}.`,
  );
}
