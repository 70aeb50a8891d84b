/**
 * A relay between WebSocket and RabbitMQ that misbehaves on demand, written on bare sockets so that nothing of it is polite.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { Frames } from "./amqp-frames.ts";

/**
 * What the relay does from here on: cuts the TCP connection, says goodbye as a WebSocket does, goes silent (and stays open), sends text,
 * sends garbage.
 */
export type Fault = "drop" | "close" | "silent" | "text" | "garbage";

/** Which fault, if any, at this frame of this connection. */
export type FaultAt = (direction: "up" | "down", method: string, link: number) => Fault | undefined;

/** How it misbehaves. */
export interface HostileOptions {
  /** RabbitMQ. */
  readonly host: string;
  readonly port: number;
  /** Before the WebSocket stands: never answers, or answers with this HTTP status. */
  readonly upgrade?: "silent" | number;
  /**
   * Sees the method of each AMQP frame ("10.10" is connection.start; "header", "body", "heartbeat"; "open" once the WebSocket stands):
   * of frames down before they are passed on, of frames up after it.
   */
  readonly fault?: FaultAt | undefined;
  /** Most bytes in one message to the client. @default a whole read of the socket */
  readonly chunk?: () => number;
  /** The sub-protocol that it insists on: without it 400. */
  readonly protocol?: string;
}

/** A running hostile relay. */
export interface HostileRelay extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Connections of clients that are open now. */
  readonly live: number;
  /** Those of them whose client has not even said goodbye, as a WebSocket does. */
  readonly held: number;
  /** The request lines and header lines of all that came. */
  readonly requests: readonly string[];
  /** The largest WebSocket message that a client has sent. */
  readonly largest: number;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startHostileRelay(options: HostileOptions): Promise<HostileRelay> {
  const links = new Set<Link>();
  const requests: string[] = [];
  let largest = 0;
  let count = 0;
  const server: Server = createServer((socket) => {
    const link = new Link(socket, options, count++, (size) => largest = Math.max(largest, size), requests);
    links.add(link);
    socket.on("close", () => links.delete(link));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    port,
    get live() {
      return links.size;
    },
    get held() {
      return [...links].filter((link) => !link.farewell).length;
    },
    requests,
    get largest() {
      return largest;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const link of links) link.end();
    },
  };
}

/** One client. */
class Link {
  readonly #client: Socket;
  readonly #options: HostileOptions;
  readonly #number: number;
  readonly #seen: (size: number) => void;
  readonly #requests: string[];
  #server: Socket | undefined;
  #held: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #silent = false;
  /** The client said goodbye. */
  farewell = false;
  readonly #up: Frames = new Frames();
  readonly #down: Frames = new Frames();

  constructor(
    client: Socket,
    options: HostileOptions,
    number: number,
    seen: (size: number) => void,
    requests: string[],
  ) {
    this.#client = client;
    this.#options = options;
    this.#number = number;
    this.#seen = seen;
    this.#requests = requests;
    client.setNoDelay(true);
    client.on("error", () => {});
    client.on("close", () => this.#server?.destroy());
    client.on("data", (bytes: Buffer) => {
      this.#held = Buffer.concat([this.#held, bytes]);
      if (this.#upgraded || (!this.#silent && this.#upgrade())) this.#messages();
    });
  }

  end(): void {
    this.#client.destroy();
    this.#server?.destroy();
  }

  #upgrade(): boolean {
    const end = this.#held.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const head = this.#held.subarray(0, end).toString("latin1");
    this.#requests.push(...head.split("\r\n"));
    this.#held = this.#held.subarray(end + 4);
    const { upgrade, protocol } = this.#options;
    if (upgrade === "silent") {
      this.#silent = true;
      return false;
    }
    const offered = /^sec-websocket-protocol: *(.*)$/im.exec(head)?.[1]?.split(/, */) ?? [];
    const refused = protocol !== undefined && !offered.includes(protocol);
    if (upgrade !== undefined || refused) {
      this.#client.end(`HTTP/1.1 ${upgrade ?? 400} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return false;
    }
    const key = /^sec-websocket-key: *(.*)$/im.exec(head)?.[1] ?? "";
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const chosen = protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
    this.#client.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `${chosen}Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    this.#upgraded = true;
    if (!this.#act("up", "open")) return false;
    const { host, port } = this.#options;
    this.#server = connect({ host, port });
    // What goes silent stays open, whatever becomes of the server behind it.
    this.#server.on("error", () => this.#silent || this.#client.destroy());
    this.#server.on("close", () => this.#silent || this.#client.destroy());
    this.#server.on("data", (bytes: Buffer) => {
      for (const { frame, method } of this.#down.push(bytes)) {
        if (this.#silent || !this.#act("down", method)) return;
        this.#say(frame);
      }
    });
    return true;
  }

  /** Takes the client's messages apart. */
  #messages(): void {
    for (;;) {
      const bytes = this.#held;
      if (bytes.length < 6) return;
      const short = (bytes[1] ?? 0) & 127;
      const header = short === 126 ? 8 : short === 127 ? 14 : 6;
      if (bytes.length < header) return;
      const size = short === 126
        ? bytes.readUInt16BE(2)
        : short === 127
        ? Number(bytes.readBigUInt64BE(2))
        : short;
      if (bytes.length < header + size) return;
      const mask = bytes.subarray(header - 4, header);
      const payload = Buffer.from(bytes.subarray(header, header + size));
      for (let at = 0; at < size; at++) payload[at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
      this.#held = bytes.subarray(header + size);
      const code = (bytes[0] ?? 0) & 15;
      if (code === 8) {
        this.farewell = true;
        if (!this.#silent) this.#client.end(Buffer.from([0x88, 0]));
        return;
      }
      if (this.#silent || (code !== 2 && code !== 0)) continue;
      this.#seen(size);
      for (const { frame, method } of this.#up.push(payload)) {
        this.#server?.write(frame);
        if (!this.#act("up", method)) break;
      }
    }
  }

  /** Whether it goes on. */
  #act(direction: "up" | "down", method: string): boolean {
    const fault = this.#options.fault?.(direction, method, this.#number);
    switch (fault) {
      case undefined:
        return true;
      case "drop":
        this.#client.destroy();
        break;
      case "close":
        this.#client.end(Buffer.from([0x88, 2, 0x03, 0xf3]));
        break;
      case "text":
        this.#client.write(Buffer.from([0x81, 2, 0x68, 0x69]));
        break;
      case "garbage":
        this.#say(Buffer.from("HTTP/1.1 200 OK\r\n\r\n<html>"));
        break;
      case "silent":
        break;
    }
    this.#silent = true;
    this.#server?.destroy();
    return false;
  }

  #say(bytes: Buffer): void {
    const messages: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(this.#options.chunk?.() ?? 65_536, bytes.length - at);
      const head = size < 126
        ? Buffer.from([0x82, size])
        : size < 65_536
        ? Buffer.from([0x82, 126, size >> 8, size & 255])
        : Buffer.from([0x82, 127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 255, size & 255]);
      messages.push(head, bytes.subarray(at, at + size));
      at += size;
    }
    this.#client.write(Buffer.concat(messages));
  }
}
