/**
 * The tests' own TCP proxy: a link that can be cut, reset, jammed, slowed and counted.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** `up` is from the client to the server. */
export type Direction = "up" | "down";

/** Where to forward to. */
export interface ProxyOptions {
  readonly host: string;
  readonly port: number;
  /** Sees each chunk before it is passed on; a `cut()` in here stops the chunk itself. */
  readonly onChunk?: (direction: Direction, bytes: Uint8Array) => void;
}

/** One connection by way of a proxy. */
export interface ProxyLink {
  /** Closes it at both ends at once, bytes on the way are lost. */
  cut(): void;
}

/** Gives what is passed on in the place of a chunk, which may be nothing; a `cut()` in here stops the chunk itself. */
export type Rewrite = (direction: Direction, bytes: Uint8Array, link: ProxyLink) => Uint8Array;

type Item = { readonly bytes: Uint8Array; readonly due: number } | "end";

/** Read no further ahead than this while jammed, so that the sender feels it as on a real network. */
const READ_AHEAD = 1024 * 1024;

/** One direction of one connection: an orderly queue from `source` to `target`. */
class Pipe {
  readonly #proxy: Proxy;
  readonly #link: ProxyLink;
  readonly #direction: Direction;
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #queue: Item[] = [];
  #waiting = 0;
  #running = false;
  #wake: (() => void) | undefined;

  constructor(
    [proxy, link]: readonly [Proxy, ProxyLink],
    direction: Direction,
    source: Socket,
    target: Socket,
  ) {
    this.#proxy = proxy;
    this.#link = link;
    this.#direction = direction;
    this.#source = source;
    this.#target = target;
    source.on("data", (bytes: Uint8Array) => {
      this.#waiting += bytes.length;
      if (this.#waiting > READ_AHEAD) source.pause();
      this.#push({ bytes, due: performance.now() + proxy.latency });
    });
    source.on("end", () => this.#push("end"));
  }

  /** Goes on after `heal()`. */
  wake(): void {
    this.#wake?.();
  }

  #push(item: Item): void {
    this.#queue.push(item);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) {
      if (item === "end") {
        await this.#passage();
        this.#target.end();
        break;
      }
      const early = item.due - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      await this.#passage();
      this.#proxy.onChunk?.(this.#direction, item.bytes);
      // The hook may have jammed or cut the link: this chunk obeys already.
      await this.#passage();
      if (this.#target.destroyed) break;
      const bytes = this.#proxy.rewrite?.(this.#direction, item.bytes, this.#link) ?? item.bytes;
      if (this.#target.destroyed) break;
      await this.#write(bytes);
      this.#waiting -= item.bytes.length;
      if (this.#source.isPaused() && this.#waiting <= READ_AHEAD) this.#source.resume();
    }
    this.#running = false;
  }

  async #passage(): Promise<void> {
    while (this.#proxy.jammed(this.#direction) && !this.#target.destroyed) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const step = this.#proxy.sliceSize || bytes.length;
    for (let at = 0; at < bytes.length && !this.#target.destroyed; at += step) {
      const part = bytes.subarray(at, at + step);
      // The callback comes when the kernel has taken the bytes: slices leave one by one, and a slow reader is felt.
      await new Promise<void>((resolve) => this.#target.write(part, () => resolve()));
    }
  }
}

/** One client connection and its twin to the server. */
class Link implements ProxyLink {
  readonly sockets: readonly [client: Socket, server: Socket];
  readonly #pipes: readonly [up: Pipe, down: Pipe];

  constructor(proxy: Proxy, client: Socket, server: Socket, gone: () => void) {
    this.sockets = [client, server];
    const whose = [proxy, this] as const;
    this.#pipes = [new Pipe(whose, "up", client, server), new Pipe(whose, "down", server, client)];
    let last: Direction = "down";
    const seen = (direction: Direction, size: number): void => {
      proxy.bytes[direction] += size;
      if (direction === "up" && last === "down") proxy.roundTrips++;
      last = direction;
    };
    client.on("data", (bytes: Uint8Array) => seen("up", bytes.length));
    server.on("data", (bytes: Uint8Array) => seen("down", bytes.length));
    for (const [mine, other] of [[client, server], [server, client]] as const) {
      mine.setNoDelay(true);
      // 'close' follows; a reset on one side becomes a reset on the other.
      mine.on("error", () => other.destroyed || other.resetAndDestroy());
      mine.on("close", () => {
        if (!other.writableEnded) other.destroy();
        this.wake();
        if (client.destroyed && server.destroyed) gone();
      });
    }
  }

  wake(): void {
    for (const pipe of this.#pipes) pipe.wake();
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A running proxy on 127.0.0.1; disposing it cuts every link and stops listening. */
export class Proxy implements AsyncDisposable {
  readonly #host: string;
  readonly #target: number;
  readonly #links: Set<Link> = new Set();
  readonly #jammed: Set<Direction> = new Set();
  #server: Server | undefined;
  #port = 0;
  /** Bytes read from either side, passed on or not. */
  readonly bytes: Record<Direction, number> = { up: 0, down: 0 };
  /** Connections ever accepted. */
  connections = 0;
  /** How often a client began to speak: first, or after the server spoke; summed over connections. */
  roundTrips = 0;
  /** Set by `delay`. */
  latency = 0;
  /** Set by `slice`. */
  sliceSize = 0;
  onChunk: ((direction: Direction, bytes: Uint8Array) => void) | undefined;
  /** Asked for each chunk after `onChunk`. */
  rewrite: Rewrite | undefined;

  constructor(options: ProxyOptions) {
    this.#host = options.host;
    this.#target = options.port;
    this.onChunk = options.onChunk;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections open now. */
  get live(): number {
    return this.#links.size;
  }

  /** Closes every connection at both ends at once, bytes on the way are lost. */
  cut(): void {
    for (const link of this.#links) link.cut();
  }

  /** As `cut`, but both ends get a TCP reset. */
  rst(): void {
    for (const link of this.#links) for (const socket of link.sockets) socket.resetAndDestroy();
  }

  /** Nothing passes any more, no end of connection either; new connections open but stay silent. TCP loses nothing: `heal` delivers. */
  blackhole(direction: Direction | "both"): void {
    if (direction !== "down") this.#jammed.add("up");
    if (direction !== "up") this.#jammed.add("down");
  }

  /** Ends `blackhole`, `delay` and `slice`. */
  heal(): void {
    this.#jammed.clear();
    this.latency = 0;
    this.sliceSize = 0;
    for (const link of this.#links) link.wake();
  }

  jammed(direction: Direction): boolean {
    return this.#jammed.has(direction);
  }

  /** Stops listening (connection refused) or listens again on the same port; open connections stay. */
  async refuse(on: boolean): Promise<void> {
    if (!on) return await this.listen();
    // close() ends listening at once, but its callback waits for open connections.
    this.#server?.close();
    this.#server = undefined;
  }

  /** Each chunk arrives this many ms later. */
  delay(ms: number): void {
    this.latency = ms;
  }

  /** Bytes are passed on in pieces of `size`; 0 ends it. */
  slice(size: number): void {
    this.sliceSize = size;
  }

  /** Starts to listen; a second call while listening does nothing. */
  async listen(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse(true);
    this.cut();
  }

  #accept(client: Socket): void {
    this.connections++;
    const server = connect({ host: this.#host, port: this.#target, allowHalfOpen: true });
    const link: Link = new Link(this, client, server, () => this.#links.delete(link));
    this.#links.add(link);
  }
}

/** Starts a proxy on a free port of 127.0.0.1: `await using proxy = await startProxy({ host, port })`. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const proxy = new Proxy(options);
  await proxy.listen();
  return proxy;
}
