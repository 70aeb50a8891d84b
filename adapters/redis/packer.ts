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

/** Where and how much. */
export interface PackerOptions {
  readonly prefix: string;
  /** The database, which is in the channels of fanout exchanges. */
  readonly db: number;
  /** The most bytes of a body. */
  readonly maxMessage: number;
  readonly ids: Ids;
}

/** Knows what was declared: kombu keeps it in each process, too. */
export class Packer {
  readonly #options: PackerOptions;
  readonly #types: Map<string, ExchangeType> = new Map();

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  /** The bindings among the entities, as set and member. */
  bind(entities: readonly Entity[]): string[] {
    const { prefix } = this.#options;
    return entities.flatMap((entity) => {
      if (entity.kind === "exchange") {
        const { name, type } = entity;
        if ((this.#types.get(name) ?? type) !== type) {
          throw new ConfigurationError(
            "topology-mismatch",
            `Exchange ${name} was declared before, with another type.`,
          );
        }
        this.#types.set(name, type);
      }
      return entity.kind === "binding" && entity.exchange
        ? [prefix + bindingKey(entity.exchange), bindingMember(entity, this.#types.get(entity.exchange))]
        : [];
    });
  }

  pack({ message, to }: Outgoing): Packed {
    const { db, ids, maxMessage, prefix } = this.#options;
    const { exchange, routingKey } = to;
    if (message.body.length > maxMessage) return `a body of more than ${maxMessage} bytes`;
    try {
      const text = envelope(message, to, ids.uuid());
      const step = stepOf(message.properties["priority"]);
      if (exchange === "") return ["LPUSH", prefix + routingKey + step, "", "", text];
      return this.#types.get(exchange) === "fanout"
        ? ["PUBLISH", prefix + fanoutChannel(to, db), "", "", text]
        : ["", prefix + bindingKey(exchange), routingKey, step, text];
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** The script's ARGV; `memory` is in ms. */
  args(bindings: readonly string[], packed: readonly Packed[], memory: number): (string | number)[] {
    return [
      ...[Math.ceil(memory), this.#options.prefix, bindings.length / 2],
      ...bindings,
      ...packed.filter((one) => typeof one !== "string").flat(),
    ];
  }
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
  if (lines.length !== packed.filter((one) => typeof one !== "string").length) lines.length = 0;
  return packed.map((one, at) => {
    if (typeof one === "string") return { is: "refused", reason: one, retry: false };
    const line = lines.shift() ?? "?no verdict";
    if (line === "0" && batch[at]?.mustRoute) return { is: "unroutable" };
    return /^\d+$/.test(line) ? { is: "confirmed" } : of(line);
  });
}
