import { expect, test, vi } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";

vi.mock("ioredis", () => {
  throw new Error("Cannot find package 'ioredis'");
});

test("without the package ioredis the first call says what to install; making the backend does not need it", async () => {
  const backend = redisBackend("redis://127.0.0.1:1/0");
  const watching = backend.watch(["a"])[Symbol.asyncIterator]();
  for (const call of [() => backend.load(["a"]), () => watching.next()]) {
    await expect(call()).rejects.toMatchObject({
      name: "ConfigurationError",
      code: "package-missing",
      hint: "Run: npm install ioredis",
    });
  }
  await backend.close();
});
