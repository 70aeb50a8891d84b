/**
 * The seam between the adapter and a transport: `tcp.ts` dials a socket, `websocket.ts` a relay.
 *
 * @module
 */
import type { AMQPBaseClient } from "@cloudamqp/amqp-client";
import type { ConnectionError } from "../../src/errors.ts";
import type { Outbox } from "./outbox.ts";
import type { Target } from "./url.ts";

/** What a transport needs besides the target. */
export interface WireSettings {
  /** The name that RabbitMQ's management shows. */
  readonly name: string;
  /** What we offer, whole seconds; 0 is off. */
  readonly heartbeat: number;
}

/** What a transport reports. */
export interface WireEvents {
  /** Bytes came. */
  received?(): void;
  /** The link is gone; once, also when it never opened. */
  lost(error: ConnectionError): void;
}

/** Outgoing bytes, in short. */
export interface Sink {
  /** Adds whole frames, or parts of one in their order; keeps a copy. */
  append(bytes: Uint8Array): void;
  /** Sends what is here now. */
  flush(): void;
}

/** One dialled connection. */
export interface Wire<Out extends Sink = Outbox> {
  /** The library's client: channels, method calls, the parser. */
  readonly client: AMQPBaseClient;
  /** Everything that is sent goes through here, the library's own frames too. */
  readonly out: Out;
  /** Resolves on connection.open-ok; never rejects, a failure is told by `lost`. */
  readonly opened: Promise<void>;
  /** Whether what is written arrives although `destroy` follows at once; where not, a goodbye needs its answer. */
  readonly lingers?: boolean;
  /** Frees the socket at once, without a goodbye. */
  destroy(): void;
}

/** Begins to connect. Rejects only where the transport itself cannot be had (a missing package). */
export type Dial<T extends Target = Target, Out extends Sink = Outbox> = (
  target: T,
  settings: WireSettings,
  events: WireEvents,
) => Promise<Wire<Out>>;
