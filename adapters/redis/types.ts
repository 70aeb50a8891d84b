/**
 * The kinds of the exchanges that were declared, as far as a broker that lives for long remembers them.
 *
 * @module
 */
import type { ExchangeType } from "../../src/broker.ts";
import { Recent } from "../../src/lib/recent.ts";
import type { Types } from "./packer.ts";

/**
 * Any message may name a queue, and has an exchange of that name declared. It is the fanout ones that what is published depends on: others do
 * not push them out.
 */
export class RecentTypes extends Recent<ExchangeType> implements Types {
  readonly #fanouts: Recent<ExchangeType> = new Recent<ExchangeType>();

  override get(name: string): ExchangeType | undefined {
    return this.#fanouts.get(name) ?? super.get(name);
  }

  override set(name: string, type: ExchangeType): void {
    if (type === "fanout") this.#fanouts.set(name, type);
    else super.set(name, type);
  }
}
