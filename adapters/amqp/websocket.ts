/**
 * RabbitMQ over WebSocket, through a relay: `amqpBroker("wss://…")`, for runtimes without TCP and brokers that are reached no other way.
 *
 * @example
 * ```ts
 * import { amqpPublisher } from "celeriac/amqp/websocket";
 * import { Producer } from "celeriac/producer";
 *
 * const producer = new Producer({ broker: amqpPublisher("wss://user:password@relay.example.org/?vhost=shop") });
 * const { id } = await producer.sendTask("tasks.add", { args: [2, 3] });
 * ```
 *
 * @module
 */
import type { Broker, PublishBroker } from "../../src/broker.ts";
import { CallSender } from "./call.ts";
import { gather } from "./gather.ts";
import { readCallOptions } from "./options.ts";
import { ownView } from "./own-view.ts";
import { relayBroker, throughRelay } from "./relay.ts";
import type { AmqpWebSocketOptions, AmqpWebSocketPublisherOptions } from "./relay-options.ts";

export type { AmqpOptions, PublisherOptions, Topology } from "./options.ts";
export type { AmqpWebSocketOptions, AmqpWebSocketPublisherOptions, RelayOptions } from "./relay-options.ts";
export type { WebSocketConstructor, WebSocketEvent, WebSocketLike } from "./websocket-like.ts";

/**
 * A RabbitMQ broker behind a relay that passes the bytes of a WebSocket on to RabbitMQ's port: websockify, CloudAMQP's
 * websocket-tcp-relay, LavinMQ's own. Does no I/O: the first call that needs a connection opens it. Publishing and consuming use a
 * connection each.
 *
 * @param url One URL, a failover list `"wss://a;wss://b"` or an array, tried in turn. `wss://user:password@relay.example/path?vhost=/x`:
 * the credentials are RabbitMQ's and are not sent to the relay; path and query, without `vhost`, belong to the relay. The query is kept
 * secret, the path is not: `address`, logs and errors show it, so that a token for the relay belongs in the query. A ";" is written %3B.
 * @throws {ConfigurationError} `broker-url-invalid`, `option-unknown`, `option-invalid`, `duration-invalid`.
 */
export function amqpBroker(url: string | readonly string[], options: AmqpWebSocketOptions = {}): Broker {
  return relayBroker(url, options);
}

/**
 * The sending half of {@link amqpBroker}, for an edge function that only publishes: the same URLs, verdicts and errors in a smaller
 * bundle. Each call opens a connection of its own, and has said goodbye on it when it settles, as with `link: "call"`; so it has no options
 * `link`, `heartbeat`, `reconnect`, `closeTimeout`. Where a process lives on, `amqpBroker` keeps one.
 *
 * @param url As for `amqpBroker`: a token for the relay belongs in the query, since `address`, logs and errors show the path.
 * @throws {ConfigurationError} `broker-url-invalid`, `option-unknown`, `option-invalid`, `duration-invalid`.
 */
export function amqpPublisher(
  url: string | readonly string[],
  options: AmqpWebSocketPublisherOptions = {},
): PublishBroker {
  return new CallSender(throughRelay(url, options, readCallOptions, { view: ownView, makeOut: gather }));
}
