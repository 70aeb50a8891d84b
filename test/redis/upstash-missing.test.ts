import { expect, test, vi } from "vitest";
import { upstashBackend, upstashBroker } from "../../adapters/redis/http.ts";
import { outgoing } from "./http-setup.ts";

vi.mock("@upstash/redis/cloudflare", () => {
  throw new Error("Cannot find package '@upstash/redis'");
});

test("without the package the first call says what to install; making broker and backend does not need it", async () => {
  const server = { url: "http://127.0.0.1:1", token: "token" };
  const [broker, backend] = [upstashBroker(server), upstashBackend(server)];
  const watching = backend.watch(["a"])[Symbol.asyncIterator]();
  const calls = [
    () => broker.publish([outgoing("q")]),
    () => broker.connect(),
    () => backend.load(["a"]),
    () => watching.next(),
  ];
  for (const call of calls) {
    await expect(call()).rejects.toMatchObject({
      name: "ConfigurationError",
      code: "package-missing",
      hint: "Run: npm install @upstash/redis",
    });
  }
  await backend.close();
});
