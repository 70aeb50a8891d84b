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
import type { ConnectionError } from "../../src/errors.ts";
import { connectError, connectionSentence, type Failure, lostError, protocolError } from "./errors.ts";
import { FrameSplitter } from "./frames.ts";
import { Outbox } from "./outbox.ts";
import type { TlsOptions } from "./tcp.ts";
import type { Target } from "./url.ts";
import { CarefulView } from "./view.ts";
import type { Wire, WireEvents, WireSettings } from "./wire.ts";

/** RabbitMQ's own default: what a peer put into one header frame must fit into ours. (Our outbox has no buffer per publish.) */
const FRAME_MAX = 131_072;

/** What is taken for a frame where the broker announced no limit. */
const LONGEST = 1 << 28;

const SENT: Promise<void> = Promise.resolve();

class Client extends AMQPClient {
  readonly #out: Outbox;
  readonly #frames: FrameSplitter;

  constructor(url: string, options: AMQPTlsOptions, out: Outbox) {
    super(url, options);
    this.#out = out;
    this.#frames = new FrameSplitter(
      () => this.frameMax || LONGEST,
      (bytes) => this.parseFrames(new CarefulView(bytes)),
    );
  }

  /** Never rejects: a failed write is followed by the socket's close, and the library leaves some of these promises unhandled. */
  override send(bytes: Uint8Array): Promise<void> {
    this.#out.append(bytes);
    return SENT;
  }

  feed(chunk: Uint8Array): void {
    this.#frames.push(chunk);
  }
}

/** Everything goes through the library's URL but what it would misread: IPv6 brackets, the virtual host. */
function clientFor(target: Target, tls: TlsOptions, settings: WireSettings, out: Outbox): Client {
  const url = new URL(`${target.secure ? "amqps" : "amqp"}://host/`);
  url.username = encodeURIComponent(target.username);
  url.password = encodeURIComponent(target.password);
  url.searchParams.set("frameMax", String(FRAME_MAX));
  url.searchParams.set("heartbeat", String(settings.heartbeat));
  url.searchParams.set("name", settings.name);
  // The library hands these on to net.connect and tls.connect as they are.
  const secure = target.secure ? { servername: target.servername, ...tls } : {};
  const options = { ...secure, host: target.host, port: target.port, noDelay: true };
  const client = new Client(url.href, options as AMQPTlsOptions, out);
  client.vhost = target.vhost;
  return client;
}

/** Connects a socket and begins the handshake. */
export function connectTcp(
  target: Target,
  tls: TlsOptions,
  settings: WireSettings,
  events: WireEvents,
): Wire {
  const out = new Outbox((bytes) => client.socket?.write(bytes), setImmediate);
  const client = clientFor(target, tls, settings, out);
  let failure: Failure | undefined;
  let gone: ConnectionError | undefined;
  let secured = false;
  let open = false;
  const opening = client.connect();
  const { socket } = client;
  if (socket === undefined) throw new Error("the library made no socket");

  const lose = (error?: ConnectionError): void => {
    if (gone !== undefined) return;
    const why = failure ?? { text: "it closed the connection" };
    gone = error ?? (open ? lostError(target, why) : connectError(target, why, secured));
    socket.destroy();
    events.lost(gone);
  };
  client.onerror = (error) => {
    const sentence = connectionSentence(error);
    if (sentence !== undefined) failure = { text: sentence.text, sentence };
  };
  // The broker's goodbye: the socket's own end comes a turn later, and nothing may be sent in between.
  client.ondisconnect = () => lose();
  socket.setNoDelay(true);
  socket.setTimeout(0);
  socket.setKeepAlive(true, 60_000);
  // Ours cuts frames itself and catches what the parser throws.
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Uint8Array) => {
    events.received();
    try {
      client.feed(chunk);
    } catch (error) {
      lose(protocolError(target, error instanceof Error ? error.message : "it cannot be parsed"));
    }
  });
  socket.on("secureConnect", () => secured = true);
  socket.prependListener("error", (error: NodeJS.ErrnoException) => {
    failure ??= { code: error.code, text: error.message || (error.code ?? "unknown error") };
  });
  socket.on("close", () => lose());
  // The library does not end its half when the broker ends its own.
  socket.on("end", () => socket.destroy());
  const opened = opening.then(
    () => {
      if (gone !== undefined) throw gone;
      open = true;
      // The library's silence timer counts our own writes as life; ours replaces it.
      socket.setTimeout(0);
    },
    () => {
      lose();
      throw gone;
    },
  );
  opened.catch(() => {});
  return { client, out, opened, destroy: () => lose(lostError(target, { text: "we closed it" })) };
}
