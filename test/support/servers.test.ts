import { existsSync } from "node:fs";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { startRabbit, startRedis } from "./servers.ts";
import { pause } from "./wait.ts";

function ask(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(`${line}\r\n`));
    socket.once("data", (bytes: Uint8Array) => {
      resolve(new TextDecoder().decode(bytes).trim());
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

test("a private Redis keeps its data over kill -9, answers late when paused, and leaves nothing", async () => {
  let folder: string;
  {
    await using redis = await startRedis();
    folder = redis.folder;
    await ask(redis.port, "SET k v");
    await redis.kill9();
    await expect(ask(redis.port, "PING")).rejects.toThrow();
    await redis.restart();
    expect(await ask(redis.port, "GET k")).toBe("$1\r\nv");
    await redis.pause();
    let answer = "";
    const asked = ask(redis.port, "PING").then((text) => answer = text);
    // Nothing to wait for: the claim is that no answer comes.
    await pause(100);
    expect(answer).toBe("");
    redis.resume();
    await asked;
    expect(answer).toBe("+PONG");
  }
  expect(existsSync(folder)).toBe(false);
});

test(
  "a private RabbitMQ obeys rabbitmqctl, restarts with its durable things, and leaves nothing",
  async () => {
    let folder: string;
    {
      await using rabbit = await startRabbit();
      folder = rabbit.folder;
      await rabbit.ctl("add_vhost", "kept");
      await rabbit.kill9();
      await expect(ask(rabbit.port, "AMQP")).rejects.toThrow();
      await rabbit.restart();
      expect(await rabbit.ctl("list_vhosts", "-q")).toContain("kept");
    }
    expect(existsSync(folder)).toBe(false);
  },
  180_000,
);
