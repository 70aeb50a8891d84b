import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { startProxy } from "./proxy.ts";
import { until } from "./wait.ts";

/** An echo server that says "bye" before it ends, and remembers how its connections went. */
async function startEcho(): Promise<AsyncDisposable & { port: number; log: string[] }> {
  const log: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("data", (bytes) => socket.write(bytes));
    socket.on("end", () => {
      log.push("end");
      socket.end("bye");
    });
    socket.on("error", (error) => log.push((error as NodeJS.ErrnoException).code ?? "error"));
    socket.on("close", () => log.push("close"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    log,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Client {
  text = "";
  chunks = 0;
  end = "";
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (bytes: Uint8Array) => {
      this.text += new TextDecoder().decode(bytes);
      this.chunks++;
    });
    this.socket.on("end", () => this.end ||= "end");
    this.socket.on("error", (error) => this.end = (error as NodeJS.ErrnoException).code ?? "error");
    this.socket.on("close", () => this.end ||= "close");
  }

  says(text: string): Promise<true> {
    return until(() => this.text === text, {
      what: `${text}, have ${this.text}`,
      deadline: 3000,
    });
  }

  ends(): Promise<string> {
    return until(() => this.end, { what: "end of connection", deadline: 3000 });
  }
}

test("passes bytes both ways, counts them, and lets a half close through", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  const client = new Client(proxy.port);
  client.socket.write("one");
  await client.says("one");
  client.socket.write("two");
  await client.says("onetwo");
  expect(proxy.roundTrips).toBe(2);
  client.socket.end();
  await client.says("onetwobye");
  expect(await client.ends()).toBe("end");
  expect(proxy.bytes).toEqual({ up: 6, down: 9 });
  expect(proxy.connections).toBe(1);
  await until(() => proxy.live === 0, { what: "link forgotten" });
});

test("cut closes both ends and rst resets both ends", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  const first = new Client(proxy.port);
  first.socket.write("x");
  await first.says("x");
  proxy.cut();
  await first.ends();
  await until(() => echo.log.includes("close") || echo.log.includes("end"), { what: "server sees the cut" });
  echo.log.length = 0;
  const second = new Client(proxy.port);
  second.socket.write("y");
  await second.says("y");
  proxy.rst();
  expect(await second.ends()).toBe("ECONNRESET");
  await until(() => echo.log.includes("ECONNRESET"), { what: "server sees the reset" });
});

test("a black hole swallows bytes and the end of the connection, and heal delivers both", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  const client = new Client(proxy.port);
  client.socket.write("a");
  await client.says("a");
  proxy.blackhole("up");
  client.socket.write("b");
  client.socket.end();
  await until(() => proxy.bytes.up === 2, { what: "b read by the proxy" });
  expect(client.text).toBe("a");
  expect(echo.log).toEqual([]);
  proxy.heal();
  await client.says("abbye");
  const other = new Client(proxy.port);
  proxy.blackhole("down");
  other.socket.write("c");
  await until(() => proxy.bytes.down === "abbye".length + 1, { what: "echo of c read by the proxy" });
  expect(other.text).toBe("");
  proxy.heal();
  await other.says("c");
});

test("refuse stops new connections only, on the same port again afterwards", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  const kept = new Client(proxy.port);
  kept.socket.write("k");
  await kept.says("k");
  await proxy.refuse(true);
  expect(await new Client(proxy.port).ends()).toBe("ECONNREFUSED");
  kept.socket.write("k");
  await kept.says("kk");
  await proxy.refuse(false);
  const fresh = new Client(proxy.port);
  fresh.socket.write("f");
  await fresh.says("f");
});

test("a hook that cuts stops the very chunk that it saw", async () => {
  await using echo = await startEcho();
  const seen: string[] = [];
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  proxy.onChunk = (direction, bytes) => {
    seen.push(`${direction} ${new TextDecoder().decode(bytes)}`);
    if (direction === "down") proxy.cut();
  };
  const client = new Client(proxy.port);
  client.socket.write("z");
  await client.ends();
  expect(seen).toEqual(["up z", "down z"]);
  expect(client.text).toBe("");
});

test("what is written in the place of a chunk arrives, on the link that it was on, which may be cut alone", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  const [first, second] = [new Client(proxy.port), new Client(proxy.port)];
  proxy.rewrite = (direction, bytes, link) => {
    const text = new TextDecoder().decode(bytes);
    if (direction === "down") return bytes;
    if (text === "cut") link.cut();
    return new TextEncoder().encode(text === "drop" ? "" : text.toUpperCase());
  };
  first.socket.write("a");
  await first.says("A");
  first.socket.write("drop");
  second.socket.write("b");
  await second.says("B");
  first.socket.write("cut");
  await first.ends();
  expect(first.text).toBe("A");
  second.socket.write("c");
  await second.says("BC");
});

test("delay and slice change the pace but not the bytes", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  proxy.delay(60);
  const client = new Client(proxy.port);
  const begin = performance.now();
  client.socket.write("slow");
  await client.says("slow");
  expect(performance.now() - begin).toBeGreaterThan(100);
  proxy.heal();
  proxy.slice(1);
  client.socket.write("0123456789".repeat(20));
  await client.says("slow" + "0123456789".repeat(20));
});

test("a large transfer arrives whole through a jam", async () => {
  await using echo = await startEcho();
  await using proxy = await startProxy({ host: "127.0.0.1", port: echo.port });
  const client = new Client(proxy.port);
  proxy.blackhole("up");
  client.socket.write("w".repeat(8_000_000));
  await until(() => proxy.bytes.up > 1_000_000, { what: "the proxy reads ahead" });
  expect(proxy.bytes.up).toBeLessThan(4_000_000);
  proxy.heal();
  await until(() => client.text.length === 8_000_000, { what: "all bytes back", deadline: 10_000 });
});
