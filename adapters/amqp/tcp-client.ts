/**
 * The library's socket client, fed and drained by us. Imported only when a connection is opened, as the library is an optional package.
 *
 * @module
 */
// No time is taken from it, only the end of the socket's turn: what a hundred microtasks wrote leaves in one system call. Measured, a
// microtask instead doubles the CPU of consuming.
// oxlint-disable-next-line no-restricted-imports
import { setImmediate } from "node:timers";
import { AMQPClient } from "@cloudamqp/amqp-client/amqp-socket-client";
import type { AMQPTlsOptions } from "@cloudamqp/amqp-client";
import type { AMQPView } from "@cloudamqp/amqp-client/amqp-view";
import { endingOf } from "./ending.ts";
import { FRAME_MAX, frameSplitter, LONGEST } from "./frames.ts";
import { Outbox } from "./outbox.ts";
import type { TlsOptions } from "./tcp.ts";
import type { TcpTarget } from "./tcp-url.ts";
import type { Wire, WireEvents, WireSettings } from "./wire.ts";

/** Reads whole frames. */
export type View = new (bytes: Uint8Array) => AMQPView;

/** Codes that mean: no connection on the network's level, so never a matter of TLS. */
const NETWORK = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|E(HOST|NET)UNREACH|ETIMEDOUT|EADDRNOTAVAIL)$/;

const SENT: Promise<void> = Promise.resolve();

class Client extends AMQPClient {
  readonly #out: Outbox;
  readonly feed: (chunk: Uint8Array) => void;

  constructor(url: string, options: AMQPTlsOptions, out: Outbox, FrameView: View) {
    super(url, options);
    this.#out = out;
    this.feed = frameSplitter(
      () => this.frameMax || LONGEST,
      (bytes) => this.parseFrames(new FrameView(bytes)),
    );
  }

  /** Never rejects: a failed write is followed by the socket's close, and the library leaves some of these promises unhandled. */
  override send(bytes: Uint8Array): Promise<void> {
    this.#out.append(bytes);
    return SENT;
  }
}

/** Everything goes through the library's URL but what it would misread: IPv6 brackets, the virtual host. */
function clientFor(
  target: TcpTarget,
  tls: TlsOptions,
  settings: WireSettings,
  out: Outbox,
  view: View,
): Client {
  const url = new URL(`${target.secure ? "amqps" : "amqp"}://host/`);
  url.username = encodeURIComponent(target.username);
  url.password = encodeURIComponent(target.password);
  url.searchParams.set("frameMax", String(FRAME_MAX));
  url.searchParams.set("heartbeat", String(settings.heartbeat));
  url.searchParams.set("name", settings.name);
  // The library hands these on to net.connect and tls.connect as they are.
  const secure = target.secure ? { servername: target.servername, ...tls } : {};
  const options = { ...secure, host: target.host, port: target.port, noDelay: true };
  const client = new Client(url.href, options as AMQPTlsOptions, out, view);
  client.vhost = target.vhost;
  return client;
}

/** Connects a socket and begins the handshake. */
export function connectTcp(
  target: TcpTarget,
  tls: TlsOptions,
  view: View,
  settings: WireSettings,
  events: WireEvents,
): Wire {
  const out = new Outbox((bytes) => client.socket?.write(bytes), setImmediate);
  const client = clientFor(target, tls, settings, out, view);
  const opening = client.connect();
  const { socket } = client;
  if (socket === undefined) throw new Error("the library made no socket");
  const ending = endingOf(client, target, events, () => socket.destroy());
  socket.setNoDelay(true);
  socket.setTimeout(0);
  socket.setKeepAlive(true, 60_000);
  // Ours cuts frames itself and catches what the parser throws.
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Uint8Array) => ending.received(() => client.feed(chunk)));
  socket.on("secureConnect", () => ending.secured = true);
  socket.prependListener("error", (error: NodeJS.ErrnoException) => {
    ending.secured ||= NETWORK.test(`${error.code}`);
    ending.lose({ code: error.code, text: error.message || (error.code ?? "unknown error") });
  });
  socket.on("close", () => ending.lose());
  // The library does not end its half when the broker ends its own.
  socket.on("end", () => socket.destroy());
  const opened = ending.opened(opening).then(() => {
    // The library's silence timer counts our own writes as life; ours replaces it.
    socket.setTimeout(0);
  });
  return { client, out, opened, lingers: true, destroy: ending.destroy };
}
