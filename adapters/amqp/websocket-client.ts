/**
 * The library's client on a WebSocket, fed and drained by us.
 *
 * What the library's own WebSocket client adds to its base, each in a way that cannot stay, is here instead: it dials the ambient
 * WebSocket, loses its place in a split frame header, never times out, rejects with events, and needs `navigator` or `process`.
 *
 * @module
 */
import type { AMQPBaseClient } from "@cloudamqp/amqp-client";
import type { AMQPView } from "@cloudamqp/amqp-client/amqp-view";
import { ConfigurationError } from "../../src/errors.ts";
import { endingOf } from "./ending.ts";
import { FRAME_MAX, frameSplitter, LONGEST } from "./frames.ts";
import { library } from "./library.ts";
import type { WebSocketConstructor, WebSocketEvent, WebSocketLike } from "./websocket-like.ts";
import type { Target } from "./url.ts";
import type { WebSocketTarget } from "./websocket-url.ts";
import type { Dial, Sink } from "./wire.ts";

/** The largest message that we send: relays have limits, the strictest default that we know of is 16 kB. Frames may be cut anywhere. */
const MESSAGE_MAX = 16_384;

/** Makes what gathers outgoing bytes until `later` calls back. */
export type MakeOut<Out extends Sink> = (
  write: (bytes: Uint8Array) => void,
  later: (callback: () => void) => void,
) => Out;

/** How a WebSocket is opened. */
export interface DialOptions<Out extends Sink> {
  readonly webSocket?: WebSocketConstructor | undefined;
  readonly protocols?: string | readonly string[] | undefined;
  /** Imports what reads whole frames. */
  readonly view: () => Promise<new (bytes: Uint8Array) => AMQPView>;
  readonly makeOut: MakeOut<Out>;
  /** Asked before the runtime's own WebSocket is taken. */
  readonly provide?: (() => Promise<WebSocketConstructor>) | undefined;
  /**
   * Calls back at the end of the present turn of the event loop, where there is such a thing; a microtask, which is there everywhere,
   * costs half as much CPU again when consuming.
   */
  readonly later?: ((callback: () => void) => void) | undefined;
}

/** What a message may hold: some runtimes give a Blob, whatever they are told. */
type Data = string | ArrayBuffer | ArrayBufferView | { arrayBuffer(): Promise<ArrayBuffer> };

/** The library's client without what a transport adds; that is put in afterwards. */
type Base = new (...parts: ConstructorParameters<typeof AMQPBaseClient>) => AMQPBaseClient;

/** Dials a relay. Throws `ConfigurationError` "package-missing", "websocket-missing". */
export function dialWebSocket<Out extends Sink>(
  {
    webSocket,
    protocols,
    view,
    makeOut,
    provide,
    later = (callback) => void Promise.resolve().then(callback),
  }: DialOptions<Out>,
): Dial<Target, Out> {
  const dial: Dial<WebSocketTarget, Out> = async (target, { name, heartbeat }, events) => {
    const [{ AMQPBaseClient }, View] = await library(() =>
      Promise.all([import("@cloudamqp/amqp-client/amqp-base-client"), view()])
    );
    const Socket: WebSocketConstructor | undefined = webSocket ?? await provide?.() ??
      (typeof WebSocket === "undefined" ? undefined : WebSocket);
    if (Socket === undefined) {
      throw new ConfigurationError("websocket-missing", "This runtime has no WebSocket.", {
        hint: "Run: npm install ws, and pass { webSocket: WebSocket }.",
      });
    }

    let socket: WebSocketLike | undefined;
    const out = makeOut((bytes) => {
      try {
        for (let at = 0; at < bytes.length && !ending.over; at += MESSAGE_MAX) {
          socket?.send(bytes.subarray(at, at + MESSAGE_MAX) as Uint8Array<ArrayBuffer>);
        }
      } catch {
        // It is closed and has not said so yet. Not now: whoever writes is in the middle of something.
        later(() => ending.lose());
      }
    }, later);
    const { vhost, username, password } = target;
    const client = Object.assign(
      new (AMQPBaseClient as unknown as Base)(
        vhost,
        username,
        password,
        name,
        undefined,
        FRAME_MAX,
        heartbeat,
      ),
      {
        send: async (bytes: Uint8Array) => out.append(bytes),
        // Whoever hears of the end frees the socket.
        closeSocket: () => {},
      },
    );
    const feed = frameSplitter(
      () => client.frameMax || LONGEST,
      (bytes) => client["parseFrames"](new View(bytes)),
    );
    const ending = endingOf(client, target, events, () => {
      client.closed = true;
      // The goodbye of a WebSocket waits for the other side, which may never answer.
      (socket?.terminate ?? socket?.close)?.call(socket);
    });
    const fail = ({ message, error }: WebSocketEvent): void => {
      // Deno's is a number, and means nothing.
      const code = error?.code ? String(error.code) : undefined;
      // Few runtimes say more than that it failed: neither the relay's HTTP status nor that it was TLS.
      ending.secured ||= !/cert|tls|ssl|self.signed/i.test(`${code} ${message}`);
      ending.lose({ code, text: message || "no relay, or it refused" });
    };
    const opened = ending.opened(new Promise((...settle) => client["connectPromise"] = settle));
    try {
      socket = new Socket(target.url, [protocols ?? []].flat());
      socket.binaryType = "arraybuffer";
      socket.addEventListener("open", () => {
        ending.secured = true;
        out.append(Uint8Array.of(65, 77, 81, 80, 0, 0, 9, 1));
      });
      let before: Promise<void> = Promise.resolve();
      socket.addEventListener("message", (event) => {
        const data = event.data as Data;
        before = before.then(() => (data as Blob).arrayBuffer?.() ?? data).then((whole) =>
          ending.received(() => feed(bytesOf(whole)))
        ).catch(() => ending.lose());
      });
      socket.addEventListener("error", fail);
      socket.addEventListener("close", ({ code, reason }) => {
        ending.lose({ text: `the relay closed the WebSocket: ${code} ${reason}` });
      });
    } catch (error) {
      fail(error as WebSocketEvent);
    }
    return { client, out, opened, destroy: ending.destroy };
  };
  return dial as Dial<Target, Out>;
}

/** Another realm's ArrayBuffer is no instance of ours. */
function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") throw new Error("the relay sends text");
  const { buffer, byteOffset, byteLength } = data as Partial<ArrayBufferView>;
  return new Uint8Array(buffer ?? data as ArrayBuffer, byteOffset, byteLength);
}
