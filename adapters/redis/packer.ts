/**
 * From what is to be published to the arguments of the publishing script, and from its answer to verdicts. No I/O.
 *
 * @module
 */
import type { Entity, ExchangeType, Outgoing, PublishFeatures, Verdict } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { Ids } from "../../src/lib/port.ts";
import { bindingKey, bindingMember, envelope, fanoutChannel, stepOf } from "./kombu.ts";

/** The parts of a message for the script; or why it cannot go. */
export type Packed = readonly string[] | string;

/** The kinds of exchanges, by name. */
export interface Types {
  get(name: string): ExchangeType | undefined;
  set(name: string, type: ExchangeType): unknown;
}

/** What is known of a broker when it packs. */
export interface Packer {
  /** Celery's `global_keyprefix`. */
  readonly prefix: string;
  /** The database, which is in the channels of fanout exchanges. */
  readonly db: number;
  readonly platform: { readonly ids: Ids };
  readonly features: Pick<PublishFeatures, "maxMessage">;
  /** What was declared: kombu keeps it in each process, too. */
  readonly types: Types;
}

/** The bindings among the entities, as set and member. */
export function bind({ prefix, types }: Packer, entities: readonly Entity[]): string[] {
  return entities.flatMap((entity) => {
    if (entity.kind === "exchange") {
      const { name, type } = entity;
      if ((types.get(name) ?? type) !== type) {
        throw new ConfigurationError("topology-mismatch", `The exchange ${name} has another type.`);
      }
      types.set(name, type);
    }
    return entity.kind === "binding" && entity.exchange
      ? [prefix + bindingKey(entity.exchange), bindingMember(entity, types.get(entity.exchange))]
      : [];
  });
}

/** Packs a message for the script. */
export function pack(
  { prefix, db, platform: { ids }, features: { maxMessage }, types }: Packer,
  { message, to, notBefore }: Outgoing,
): Packed {
  if (notBefore) return "no delay";
  const { exchange, routingKey } = to;
  if (message.body.length > maxMessage) return `over ${maxMessage} bytes`;
  try {
    const text = envelope(message, to, ids.uuid());
    const step = stepOf(message.properties["priority"]);
    if (!exchange) return ["LPUSH", prefix + routingKey + step, "", "", text];
    return types.get(exchange) === "fanout"
      ? ["PUBLISH", prefix + fanoutChannel(to, db), "", "", text]
      : ["", prefix + bindingKey(exchange), routingKey, step, text];
  } catch (error) {
    return (error as Error).message;
  }
}

/** The script's ARGV; `memory` is in ms. */
export function argsOf(
  { prefix }: Packer,
  bindings: readonly string[],
  packed: readonly Packed[],
  memory: number,
): (string | number)[] {
  return [Math.ceil(memory), prefix, bindings.length / 2, ...bindings, ...going(packed).flat()];
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
