/**
 * A real relay between WebSocket and TCP: Debian's websockify, binary, on a free port of 127.0.0.1, behind a proxy that can break the link.
 *
 * @module
 */
import { startChild } from "./child.ts";
import { freePort, isFree } from "./ports.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { findProgram } from "./servers.ts";
import { until } from "./wait.ts";

/** Where to relay to, and how. */
export interface RelayOptions {
  /** The TCP server behind it, such as RabbitMQ. */
  readonly host: string;
  readonly port: number;
  /** Most bytes in one WebSocket message from the server; websockify's own 65536 by default. */
  readonly chunk?: number;
}

/** A running relay; disposing it stops its processes. */
export interface Relay extends AsyncDisposable {
  /** ws://127.0.0.1:port */
  readonly url: string;
  readonly port: number;
  /** websockify's own port, past the proxy. */
  readonly direct: number;
  /** The link between client and relay. */
  readonly proxy: Proxy;
  /** Breaks every open link, at both ends at once; new ones may be opened. */
  cut(): void;
}

/** websockify reads this much at once from the server; its command line has no option for it. */
const CHUNKED = "import sys, websockify.websocketproxy as relay\n" +
  "relay.ProxyRequestHandler.buffer_size = int(sys.argv.pop(1))\nrelay.websockify_init()";

/** Starts websockify (about 0.5 s; a few ms more for each connection, which gets a process of its own). */
export async function startRelay({ host, port, chunk }: RelayOptions): Promise<Relay> {
  const program = findProgram("websockify");
  if (program === undefined) throw new Error("websockify is not installed: run `npm run services`");
  const direct = await freePort();
  const addresses = [`127.0.0.1:${direct}`, `${host}:${port}`];
  const child = chunk === undefined
    ? startChild(program, addresses)
    : startChild(process.env["PYTHON"] || "/usr/bin/python3", ["-c", CHUNKED, String(chunk), ...addresses]);
  try {
    await until(async () => child.ended !== undefined || !await isFree(direct), {
      what: "websockify listens",
      every: 30,
    });
    if (child.ended !== undefined) throw new Error(`websockify: ${child.ended}\n${child.log}`);
  } catch (error) {
    await child.stop("SIGKILL");
    throw error;
  }
  const proxy = await startProxy({ host: "127.0.0.1", port: direct });
  return {
    url: `ws://127.0.0.1:${proxy.port}`,
    port: proxy.port,
    direct,
    proxy,
    cut: () => proxy.cut(),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      // It waits up to a second for its children after SIGTERM; nothing of theirs is worth that.
      await child.stop("SIGKILL");
    },
  };
}
