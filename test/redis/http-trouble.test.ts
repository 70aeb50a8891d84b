/** What a client's errors mean: pure, quick whatever a server says, and nothing of a server's is taken for ours. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { upstashBackend, upstashBroker } from "../../adapters/redis/http.ts";
import { refused, troubleOf } from "../../adapters/redis/http-trouble.ts";
import { failure, outgoing, shown, TOKEN } from "./http-setup.ts";

/** A failed fetch, as each runtime throws it. */
function failed(message: string, cause?: object): Error {
  return Object.assign(new TypeError(message), cause && { cause });
}

describe("what was certainly not sent", () => {
  test.each<[string, unknown, string]>([
    [
      "Node",
      failed("fetch failed", { message: "connect ECONNREFUSED 127.0.0.1:1", code: "ECONNREFUSED" }),
      "unreachable",
    ],
    ["Node, no name", failed("fetch failed", { message: "getaddrinfo", code: "ENOTFOUND" }), "unreachable"],
    ["Node, lost", failed("fetch failed", { message: "other side closed", code: "UND_ERR_SOCKET" }), "lost"],
    [
      "Bun",
      Object.assign(new Error("Unable to connect."), { code: "ConnectionRefused" }),
      "unreachable",
    ],
    // It repeats a request by itself, so that a refused connection may be its second one.
    [
      "Deno",
      failed(
        "error sending request for url (http://127.0.0.1:1/): client error (Connect): tcp connect error",
      ),
      "lost",
    ],
    ["a server's words", new SyntaxError(`Unexpected token, "Connection Refused" is not valid JSON`), "lost"],
  ])("%s", (_what, error, kind) => {
    expect(troubleOf(error, TOKEN)).toMatchObject({ kind, doubt: kind === "lost" });
  });
});

test.each(["body: <", "body: < >", "<", " "])("a long text of %j is read at once", (part) => {
  const begun = performance.now();
  refused(`body: ${part.repeat(100_000)}`);
  expect(performance.now() - begun).toBeLessThan(200);
});

// An answer is none of ours, whatever it looks like, and one of another type is a coded error.
test.each([
  '{"result":5}',
  '{"result":{"kind":"refused","text":5,"doubt":false}}',
  '{"result":[1,2]}',
  '{"result":[{"a":1}]}',
  '{"result":[{"kind":"refused","text":5,"doubt":false}]}',
  '{"result":true}',
  '{"result":"abc"}',
  "5",
  "null",
  "[]",
  "[{}]",
  '[{"result":"x"},{"error":"ERR y"}]',
])("the answer %s", async (body) => {
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", "application/json");
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const at = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "token" };
    const backend = upstashBackend({ ...at, commandTimeout: "300ms" });
    const broker = upstashBroker({ ...at, publishTimeout: "300ms" });
    const record = { taskId: "a", status: "SUCCESS", text: "{}" } as never;
    const calls: [role: string, call: () => Promise<unknown>][] = [
      ["backend", () => backend.load(["a"])],
      ["backend", () => backend.store(record, { ttl: undefined })],
      ["broker", () => broker.count("q")],
      ["broker", () => broker.purge("q")],
    ];
    for (const [role, call] of calls) {
      const { error } = await failure(call);
      expect(error, shown(error)).toMatchObject({
        name: "ConnectionError",
        code: expect.stringMatching(`^${role}-(lost|refused|timeout)$`),
      });
    }
    expect((await broker.publish([outgoing("q")])).map(({ is }) => is)).toEqual([
      body === '{"result":5}' ? "confirmed" : "unknown",
    ]);
  } finally {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});
