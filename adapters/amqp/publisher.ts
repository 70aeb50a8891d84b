/**
 * A broker that only publishes.
 *
 * @module
 */
import type { PublishBroker } from "../../src/broker.ts";
import { CallSender } from "./call.ts";
import { roadsTo } from "./connect.ts";
import type { CallSettings } from "./options.ts";
import type { Target, Targets } from "./url.ts";
import type { Dial, Sink } from "./wire.ts";

/** The sending half alone, with a connection for each call; `dial` reads with the `OwnView`. */
export function publisherTo<T extends Target, Out extends Sink>(
  targets: Targets<T>,
  dial: Dial<T, Out>,
  settings: CallSettings,
): PublishBroker {
  return new CallSender(
    roadsTo(targets, dial, settings),
    ({ properties }) => properties as unknown as Uint8Array,
  );
}
