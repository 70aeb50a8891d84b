/**
 * From what is to be published to the arguments of the publishing script, and from its answer to verdicts. No I/O.
 *
 * @module
 */
import type { Entity, ExchangeType, Outgoing, Verdict } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { Ids } from "../../src/lib/port.ts";
import { bindingKey, bindingMember, envelope, fanoutChannel, stepOf } from "./kombu.ts";

/** The parts of a message for the script; or why it cannot go. */
export type Packed = readonly string[] | string;

/** Knows what was declared: kombu keeps it in each process, too. */
export class Packer {
  readonly prefix: string;
  readonly #ids: Ids;
  readonly #most: number;
  readonly #db: number;
  readonly #types: Map<string, ExchangeType> = new Map();

  /** `most` bytes of a body; `db` is the database, which is in the channels of fanout exchanges. */
  constructor(prefix: string, ids: Ids, most: number, db: number) {
    this.prefix = prefix;
    this.#ids = ids;
    this.#most = most;
    this.#db = db;
  }

  /** The bindings among the entities, as set and member. */
  bind(entities: readonly Entity[]): string[] {
    return entities.flatMap((entity) => {
      if (entity.kind === "exchange") {
        const { name, type } = entity;
        if ((this.#types.get(name) ?? type) !== type) {
          throw new ConfigurationError(
            "topology-mismatch",
            `The exchange ${name} has another type.`,
          );
        }
        this.#types.set(name, type);
      }
      return entity.kind === "binding" && entity.exchange
        ? [this.prefix + bindingKey(entity.exchange), bindingMember(entity, this.#types.get(entity.exchange))]
        : [];
    });
  }

  pack({ message, to, notBefore }: Outgoing): Packed {
    if (notBefore) return "no delay";
    const { exchange, routingKey } = to;
    if (message.body.length > this.#most) return `over ${this.#most} bytes`;
    try {
      const text = envelope(message, to, this.#ids.uuid());
      const step = stepOf(message.properties["priority"]);
      if (!exchange) return ["LPUSH", this.prefix + routingKey + step, "", "", text];
      return this.#types.get(exchange) === "fanout"
        ? ["PUBLISH", this.prefix + fanoutChannel(to, this.#db), "", "", text]
        : ["", this.prefix + bindingKey(exchange), routingKey, step, text];
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** The script's ARGV; `memory` is in ms. */
  args(bindings: readonly string[], packed: readonly Packed[], memory: number): (string | number)[] {
    return [Math.ceil(memory), this.prefix, bindings.length / 2, ...bindings, ...going(packed).flat()];
  }
}

function going(packed: readonly Packed[]): readonly Packed[] {
  return packed.filter(Array.isArray);
}

/** The verdict of each message; `of` says what a line means that tells no number, or "?" where there was none. */
export function verdictsOf(
  batch: readonly Outgoing[],
  packed: readonly Packed[],
  answer: unknown,
  of: (line: string) => Verdict,
): Verdict[] {
  const lines = String(answer).split("\n");
  // What does not fit the question is no answer to it.
  if (lines.length !== going(packed).length) lines.length = 0;
  return packed.map((one, at) => {
    if (typeof one === "string") return { is: "refused", reason: one, retry: false };
    const line = lines.shift() ?? "?no verdict";
    if (line === "0" && batch[at]?.mustRoute) return { is: "unroutable" };
    return /^\d+$/.test(line) ? { is: "confirmed" } : of(line);
  });
}
