/**
 * A broker behind a relay, from its URL and options.
 *
 * @module
 */
import type { Broker } from "../../src/broker.ts";
import { demand, demandText } from "../../src/lib/demand.ts";
import { AmqpBroker } from "./broker.ts";
import { type AmqpOptions, type CallSettings, readOptions } from "./options.ts";
import type { AmqpWebSocketOptions } from "./relay-options.ts";
import { Outbox } from "./outbox.ts";
import type { Target, Targets } from "./url.ts";
import type { CarefulView } from "./view.ts";
import { type DialOptions, dialWebSocket } from "./websocket-client.ts";
import { parseRelays } from "./websocket-url.ts";
import type { Dial, Sink } from "./wire.ts";

/** What only some runtimes have. */
export type HostParts = Pick<DialOptions<Sink>, "provide" | "later">;

/** What a whole broker and a publisher have each in their own way. */
export type OwnParts<Out extends Sink> = Pick<DialOptions<Out>, "view" | "makeOut">;

/** What a broker behind a relay is made of. */
export interface Made<Out extends Sink, Settings extends CallSettings> {
  readonly targets: Targets;
  readonly dial: Dial<Target, Out>;
  readonly settings: Settings;
}

/** Reads URL and options; nothing is opened. `host` is what the runtime at hand has besides. */
export function throughRelay<Out extends Sink, Settings extends CallSettings>(
  url: string | readonly string[],
  options: AmqpWebSocketOptions,
  read: (rest: AmqpOptions) => Settings,
  own: OwnParts<Out>,
  host: HostParts = {},
): Made<Out, Settings> {
  const { username, password, vhost, webSocket, protocols, ...rest } = options;
  demandText(username, "username");
  demandText(password, "password");
  demandText(vhost, "vhost");
  demand(/undefined|function/.test(typeof webSocket), "webSocket", "a WebSocket class");
  return {
    targets: parseRelays(url, { username, password, vhost }),
    dial: dialWebSocket({ webSocket, protocols, ...own, ...host }),
    settings: read(rest),
  };
}

/** A whole broker: what `amqpBroker` makes. */
export function relayBroker(
  url: string | readonly string[],
  options: AmqpWebSocketOptions,
  host: HostParts = {},
): Broker {
  const { targets, dial, settings } = throughRelay(url, options, readOptions, { view, makeOut }, host);
  return new AmqpBroker(targets, dial, settings);
}

function makeOut(...parts: ConstructorParameters<typeof Outbox>): Outbox {
  return new Outbox(...parts);
}

async function view(): Promise<typeof CarefulView> {
  return (await import("./view.ts")).CarefulView;
}
