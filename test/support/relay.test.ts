import { connect } from "node:net";
import { expect, inject, test } from "vitest";
import { WebSocket } from "ws";
import { type Relay, startRelay } from "./relay.ts";
import { until } from "./wait.ts";

const { hostname: host, port } = new URL(inject("amqp"));

/** Greets RabbitMQ and gives the sizes of the messages that hold its first frame. */
async function greet(relay: Relay): Promise<{ socket: WebSocket; sizes: number[]; first: number }> {
  const socket = new WebSocket(relay.url);
  socket.binaryType = "arraybuffer";
  const chunks: Uint8Array[] = [];
  socket.addEventListener("message", ({ data }) => chunks.push(new Uint8Array(data as ArrayBuffer)));
  socket.addEventListener("open", () => socket.send(new Uint8Array([65, 77, 81, 80, 0, 0, 9, 1])));
  const all = await until(() => {
    const bytes = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
    return bytes.length > 7 && bytes.length >= new DataView(bytes.buffer).getUint32(3) + 8 && bytes;
  }, { what: "connection.start" });
  return { socket, sizes: chunks.map(({ length }) => length), first: all[0] ?? 0 };
}

test("a relay speaks for RabbitMQ, can be cut, and leaves nothing behind", async () => {
  let direct: number;
  {
    await using relay = await startRelay({ host, port: Number(port) });
    direct = relay.direct;
    const { socket, first } = await greet(relay);
    expect(first).toBe(1);
    relay.cut();
    await until(() => socket.readyState === WebSocket.CLOSED, { what: "the cut" });
    (await greet(relay)).socket.terminate();
  }
  await expect(
    new Promise((resolve, reject) => connect(direct, "127.0.0.1").on("connect", resolve).on("error", reject)),
  ).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("a relay can be made to split what the server says", async () => {
  await using relay = await startRelay({ host, port: Number(port), chunk: 3 });
  const { socket, sizes } = await greet(relay);
  expect(Math.max(...sizes)).toBe(3);
  socket.terminate();
});
