/**
 * What a program says of a relay. It names no type of the AMQP library's, which may not be there when a program is checked.
 *
 * @module
 */
import type { AmqpOptions, PublisherOptions } from "./options.ts";
import type { WebSocketConstructor } from "./websocket-like.ts";

/** How a relay is reached, and who we are behind it. */
export interface RelayOptions {
  /** The virtual host where the URL names none. @default "/" */
  readonly vhost?: string;
  /** RabbitMQ's user where the URL names none; the relay never sees it outside of the AMQP handshake. @default "guest" */
  readonly username?: string;
  /** The user's password where the URL has none. @default "guest" */
  readonly password?: string;
  /**
   * The WebSocket to use: Node has none before 22, `import { WebSocket } from "ws"`. That one and Bun's are freed at once when a relay
   * goes silent; the ones of Deno, and of Node from 22, wait for the relay's goodbye, and keep the process until the network ends them.
   *
   * @default the runtime's own
   */
  readonly webSocket?: WebSocketConstructor;
  /** Sub-protocols to ask the relay for; some insist on "amqp", others on "binary". @default none */
  readonly protocols?: string | readonly string[];
}

/** Options of `amqpBroker` over WebSocket. */
export interface AmqpWebSocketOptions extends AmqpOptions, RelayOptions {}

/** Options of `amqpPublisher` over WebSocket. */
export interface AmqpWebSocketPublisherOptions extends PublisherOptions, RelayOptions {}
