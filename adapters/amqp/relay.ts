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
import type { Roads } from "./roads.ts";
import type { CarefulView } from "./view.ts";
import { type DialOptions, dialWebSocket } from "./websocket-client.ts";
import { parseRelays } from "./websocket-url.ts";
import type { Sink } from "./wire.ts";

/** What only some runtimes have. */
export type HostParts = Pick<DialOptions<Sink>, "provide" | "later">;

/** What a whole broker and a publisher have each in their own way. */
export type OwnParts<Out extends Sink> = Pick<DialOptions<Out>, "view" | "makeOut">;

/** Reads URL and options; nothing is opened. `host` is what the runtime at hand has besides. */
export function throughRelay<Out extends Sink, Settings extends CallSettings>(
  url: string | readonly string[],
  options: AmqpWebSocketOptions,
  read: (rest: AmqpOptions) => Settings,
  own: OwnParts<Out>,
  host: HostParts = {},
): Roads<Out, Settings> {
  const { username, password, vhost, webSocket, protocols, ...rest } = options;
  demandText(username, "username");
  demandText(password, "password");
  demandText(vhost, "vhost");
  demand(/undefined|function/.test(typeof webSocket), "webSocket", "a WebSocket class");
  return {
    targets: parseRelays(url, options),
    dial: dialWebSocket({ webSocket, protocols, ...own, ...host }),
    settings: read(rest),
    turn: 0,
  };
}

/** A whole broker: what `amqpBroker` makes. */
export function relayBroker(
  url: string | readonly string[],
  options: AmqpWebSocketOptions,
  host: HostParts = {},
): Broker {
  return new AmqpBroker(throughRelay(url, options, readOptions, { view, makeOut }, host));
}

function makeOut(...parts: ConstructorParameters<typeof Outbox>): Outbox {
  return new Outbox(...parts);
}

async function view(): Promise<typeof CarefulView> {
  return (await import("./view.ts")).CarefulView;
}
