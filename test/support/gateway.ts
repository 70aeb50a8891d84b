/**
 * A private gateway: Upstash's REST protocol over a given Redis, on a free port of 127.0.0.1, with what it was asked and switches for
 * its faults.
 *
 * @module
 */
import { serve, type ServerType } from "@hono/node-server";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { pause } from "./wait.ts";
import { createGateway, type GatewayOptions } from "../../src/gateway/mod.ts";

/** A request as it came in. */
export interface GatewayRequest {
  readonly method: string;
  /** Path and parameters. */
  readonly path: string;
  /** The body as text: JSON, but for path-style commands. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Options of `startGateway`; the gateway's own go through. */
export interface StartGatewayOptions extends Omit<GatewayOptions, "redis" | "token"> {
  /** The Redis behind it. */
  readonly redis: string;
  /** @default "test-token" */
  readonly token?: string;
}

/**
 * Switches for faults. Each is good for the next `n` requests (1 by default; `Infinity` until `heal()`), subscriptions left out, and
 * replaces the one before. Every request is in `requests`, whatever becomes of it.
 *
 * Deno's own `fetch` sends a request once more when its socket closes without a byte of an answer, POST included (not with a stream as its
 * body): there `dropResponse` and `closeBefore` take 2 to be seen, and both are in `requests`.
 */
export class GatewayFaults {
  #next: Fault | undefined;
  #planned: ("none" | PlannedFault)[] = [];
  #concerned = "";
  #left = 0;
  #noSubscribe = false;

  /** Takes the request and never answers: nothing is executed, the socket stays open until the client or `heal()` ends it. */
  silent(n = 1): void {
    this.#set({ kind: "silent" }, n);
  }

  /** Executes, and closes the socket without an answer. */
  dropResponse(n = 1): void {
    this.#set({ kind: "drop" }, n);
  }

  /** Closes the socket before anything is executed. */
  closeBefore(n = 1): void {
    this.#set({ kind: "close" }, n);
  }

  /** Executes, and stays silent: the answer never comes. */
  swallowResponse(n = 1): void {
    this.#set({ kind: "swallow" }, n);
  }

  /** Executes, and sends the first half of the answer, then closes the socket. */
  cutResponse(n = 1): void {
    this.#set({ kind: "cut" }, n);
  }

  /** Executes nothing and answers this. `body` is sent as it is: not all that answers is JSON. */
  status(code: number, body = JSON.stringify({ error: `ERR status ${code}` }), n = 1): void {
    this.#set({ kind: "status", code, body }, n);
  }

  /**
   * A fault for each of the next requests whose body holds the text, in their order, before what the switches say; "none" lets one through.
   */
  plan(faults: readonly ("none" | PlannedFault)[], text = ""): void {
    this.#planned.push(...faults);
    this.#concerned = text;
  }

  /** Planned, and no request came for it yet. */
  get planned(): number {
    return this.#planned.length;
  }

  /** Refuses `/subscribe` and `/psubscribe` with 400, as a server that has none, until `heal()`. */
  noSubscribe(): void {
    this.#noSubscribe = true;
  }

  /** Ends all of it; requests that are kept silent have their sockets closed. */
  heal(): void {
    this.#left = 0;
    this.#planned = [];
    this.#noSubscribe = false;
    for (const close of this.#kept) close();
    this.#kept.clear();
  }

  readonly #kept: Set<() => void> = new Set();

  /** What becomes of this request; for the server. */
  take(path: string, body: string): Fault | undefined {
    if (/^\/p?subscribe\//.test(path)) {
      return this.#noSubscribe
        ? { kind: "status", code: 400, body: '{"error":"ERR Command is not available: \'SUBSCRIBE\'"}' }
        : undefined;
    }
    const planned = body.includes(this.#concerned) ? this.#planned.shift() : undefined;
    if (planned !== undefined) return planned === "none" ? undefined : { kind: planned };
    if (this.#left <= 0) return undefined;
    this.#left--;
    return this.#next;
  }

  /** Keeps a socket until `heal()`; for the server. */
  keep(close: () => void): void {
    this.#kept.add(close);
  }

  #set(fault: Fault, n: number): void {
    this.#next = fault;
    this.#left = n;
  }
}

/**
 * As the switches. `twice`: executed two times before it is answered, as by a proxy that asks again. `again`: executed, the answer dropped, and
 * executed once more a little later, as a request that was under way on two roads.
 */
export type PlannedFault = "silent" | "drop" | "close" | "swallow" | "cut" | "twice" | "again";

type Fault =
  | { readonly kind: PlannedFault }
  | { readonly kind: "status"; readonly code: number; readonly body: string };

/** A running gateway. Disposing it closes every socket. */
export interface PrivateGateway extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly token: string;
  /** All requests so far, oldest first. */
  readonly requests: readonly GatewayRequest[];
  readonly faults: GatewayFaults;
  /** Resolves when what comes once more has come. */
  quiet(): Promise<void>;
}

/**
 * Starts a gateway in this process; works on Node, Bun and Deno.
 *
 * ```ts
 * await using gateway = await startGateway({ redis: inject("redis") });
 * const redis = new Redis({ url: gateway.url, token: gateway.token });
 * gateway.faults.dropResponse(); // the next request is executed, its answer lost
 * ```
 */
export async function startGateway(options: StartGatewayOptions): Promise<PrivateGateway> {
  const { token = "test-token", ...rest } = options;
  const gateway = createGateway({ ...rest, token });
  const requests: GatewayRequest[] = [];
  const faults = new GatewayFaults();
  const late = new Set<Promise<unknown>>();

  const listener = async (
    request: Request,
    { incoming, outgoing }: { incoming: IncomingMessage; outgoing: ServerResponse },
  ): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    const bytes = await request.arrayBuffer();
    const headers: Record<string, string> = {};
    request.headers.forEach((value, name) => void (headers[name] = value));
    const body = new TextDecoder().decode(bytes);
    requests.push({ method: request.method, path: pathname + search, body, headers });
    const copy = (signal?: AbortSignal): Request =>
      new Request(request.url, {
        method: request.method,
        headers: request.headers,
        ...(signal && { signal }),
        ...(bytes.byteLength === 0 ? {} : { body: bytes }),
      });
    const passed = copy(request.signal);
    const fault = faults.take(pathname, body);
    const hangUp = (): void => front.cut(incoming.socket.remotePort ?? 0);
    switch (fault?.kind) {
      case undefined:
        return await gateway.fetch(passed);
      case "status":
        return new Response(fault.body, {
          status: fault.code,
          headers: { "content-type": "application/json" },
        });
      case "close":
        hangUp();
        return SENT;
      case "silent":
        faults.keep(hangUp);
        return SENT;
      case "swallow":
        await gateway.fetch(passed);
        faults.keep(hangUp);
        return SENT;
      case "twice":
        await gateway.fetch(copy());
        return await gateway.fetch(passed);
      case "again":
        await gateway.fetch(copy());
        hangUp();
        late.add(pause(30).then(() => gateway.fetch(copy())));
        return SENT;
      case "drop":
        await gateway.fetch(passed);
        hangUp();
        return SENT;
      case "cut": {
        const answer = new Uint8Array(await (await gateway.fetch(passed)).arrayBuffer());
        outgoing.writeHead(200, {
          "content-type": "application/json",
          "content-length": String(answer.length),
        });
        // The half must be on its way before the socket goes.
        outgoing.write(answer.subarray(0, answer.length >> 1), () => setTimeout(hangUp, 20));
        return SENT;
      }
    }
  };

  const server = await new Promise<ServerType>((resolve, reject) => {
    const started = serve(
      { fetch: listener as never, port: 0, hostname: "127.0.0.1" },
      () => resolve(started),
    );
    started.once("error", reject);
  });
  const front = new Front((server.address() as AddressInfo).port);
  const port = await front.listen();
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    requests,
    faults,
    quiet: async () => void await Promise.all(late),
    async [Symbol.asyncDispose]() {
      faults.heal();
      await gateway.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await front.close();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
    },
  };
}

/** Passes connections on to the server. Its sockets can be cut on every runtime, which those of Deno's HTTP server cannot. */
class Front {
  readonly #target: number;
  readonly #links: Map<number, Socket> = new Map();
  readonly #sockets: Set<Socket> = new Set();
  readonly #server = createServer((client) => this.#pass(client));

  constructor(target: number) {
    this.#target = target;
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Closes the client's connection that came to the server from this port. */
  cut(port: number): void {
    this.#links.get(port)?.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #pass(client: Socket): void {
    let port = 0;
    const server = connect(this.#target, "127.0.0.1", () => {
      port = server.localPort ?? 0;
      this.#links.set(port, client);
      client.pipe(server).pipe(client);
    });
    for (const [mine, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(mine);
      mine.setNoDelay(true);
      // "close" follows.
      mine.on("error", () => {});
      mine.on("close", () => {
        this.#sockets.delete(mine);
        this.#links.delete(port);
        other.destroy();
      });
    }
  }
}

/** Tells the adapter that the answer is none of its business any more. */
const SENT = new Response(null, { headers: { "x-hono-already-sent": "true" } });
