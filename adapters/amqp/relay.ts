/**
 * A broker behind a relay, from its URL and options.
 *
 * @module
 */
import type { Broker } from "../../src/broker.ts";
import { AmqpBroker } from "./broker.ts";
import { readOptions, type Settings } from "./options.ts";
import type { AmqpWebSocketOptions } from "./relay-options.ts";
import type { Targets } from "./url.ts";
import type { CarefulView } from "./view.ts";
import { type DialOptions, dialWebSocket } from "./websocket-client.ts";
import { parseRelays } from "./websocket-url.ts";
import type { Dial } from "./wire.ts";

/** What only some runtimes have. */
export type HostParts = Pick<DialOptions, "provide" | "later">;

/** What a broker behind a relay is made of. */
export interface Made {
  readonly targets: Targets;
  readonly dial: Dial;
  readonly settings: Settings;
}

/** Reads URL and options; nothing is opened. `host` is what the runtime at hand has besides. */
export function throughRelay(
  url: string | readonly string[],
  options: AmqpWebSocketOptions,
  view: DialOptions["view"],
  host: HostParts = {},
): Made {
  const { username, password, vhost, webSocket, protocols, ...rest } = options;
  const settings = readOptions(rest);
  const { clock } = settings.platform;
  return {
    targets: parseRelays(url, { username, password, vhost }),
    dial: dialWebSocket({ webSocket, protocols, clock, view, ...host }),
    settings,
  };
}

/** A whole broker: what `amqpBroker` makes. */
export function relayBroker(
  url: string | readonly string[],
  options: AmqpWebSocketOptions,
  host: HostParts = {},
): Broker {
  const { targets, dial, settings } = throughRelay(url, options, carefulView, host);
  return new AmqpBroker(targets, dial, settings);
}

async function carefulView(): Promise<typeof CarefulView> {
  return (await import("./view.ts")).CarefulView;
}
