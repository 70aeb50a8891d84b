/**
 * What is used of a WebSocket, in words that need neither the web's types nor the AMQP library's: programs check against this file.
 *
 * @module
 */

/** An event of a {@link WebSocketLike}: of message, close and error what each has. */
export interface WebSocketEvent {
  /** Its name. */
  readonly type: string;
  /** Of a message: its bytes. */
  readonly data?: unknown;
  /** Of a close: RFC 6455's number. */
  readonly code?: number;
  /** Of a close: the peer's words. */
  readonly reason?: string;
  /** Of an error, where it says anything. */
  readonly message?: string;
  /** Of an error of `ws`: what the system said. */
  readonly error?: { readonly code?: string } | null;
}

/** What is used of a WebSocket. */
export interface WebSocketLike {
  /** Set to "arraybuffer". */
  binaryType: string;
  /** For "open", "message", "error" and "close". */
  addEventListener(type: string, listener: (event: WebSocketEvent) => void): void;
  /** Sends one binary message. (The web's own types take no view of shared memory.) */
  send(data: Uint8Array<ArrayBuffer>): void;
  /** Begins the goodbye. */
  close(): void;
  /** Frees the socket at once; `ws` and Bun have it. */
  terminate?(): void;
}

/** A class of WebSockets: the runtime's own, or that of the package `ws`. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike;
