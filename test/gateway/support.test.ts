import { Redis } from "@upstash/redis";
import { expect, inject, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { until } from "../support/wait.ts";

// Deno's fetch sends once more by itself what was closed without an answer.
const once = inject("runtime") === "deno" ? 2 : 1;

test("the test gateway serves, and its faults are what they say", async () => {
  await using gateway = await startGateway({ redis: inject("redis") });
  const key = `gateway:${crypto.randomUUID()}`;
  const call = (...command: unknown[]): Promise<Response> =>
    fetch(gateway.url, {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.token}` },
      body: JSON.stringify(command),
    });
  const value = async (): Promise<unknown> =>
    (await (await call("GET", key)).json() as { result: unknown }).result;

  const client = new Redis({ url: gateway.url, token: gateway.token, enableAutoPipelining: false });
  expect(await client.set(key, "one")).toBe("OK");
  expect(await client.get(key)).toBe("one");
  expect(gateway.requests[0]).toMatchObject({
    method: "POST",
    path: "/",
    body: JSON.stringify(["set", key, "one"]),
  });

  gateway.faults.closeBefore(once);
  await expect(call("SET", key, "two")).rejects.toThrow();
  expect(await value()).toBe("one");

  gateway.faults.dropResponse(once);
  await expect(call("SET", key, "three")).rejects.toThrow();
  expect(await value()).toBe("three");

  gateway.faults.cutResponse();
  await expect(call("SET", key, "four").then((response) => response.text())).rejects.toThrow();
  expect(await value()).toBe("four");

  gateway.faults.status(503, "<html>");
  const refused = await call("SET", key, "five");
  expect([refused.status, await refused.text()]).toEqual([503, "<html>"]);

  gateway.faults.silent();
  const kept = call("SET", key, "six").then(() => "answered", () => "failed");
  await until(() => gateway.requests.at(-1)?.body.includes("six"), { what: "the request is there" });
  expect(await value()).toBe("four");

  gateway.faults.swallowResponse();
  const swallowed = call("SET", key, "seven").then(() => "answered", () => "failed");
  await until(async () => await value() === "seven", { what: "the command is executed" });
  gateway.faults.heal();
  expect([await kept, await swallowed]).toEqual(
    inject("runtime") === "deno" ? ["answered", "answered"] : ["failed", "failed"],
  );

  gateway.faults.noSubscribe();
  const stream = await fetch(`${gateway.url}/subscribe/a`, {
    headers: { authorization: `Bearer ${gateway.token}` },
  });
  expect([stream.status, await stream.text()]).toEqual([400, expect.stringContaining("not available")]);
  await call("DEL", key);
});

test("subscribe", async () => {
  await using gateway = await startGateway({ redis: inject("redis") });
  const client = new Redis({ url: gateway.url, token: gateway.token });
  const seen: unknown[] = [];
  const subscription = client.subscribe(["chan"]);
  const ready = new Promise<void>((resolve) => subscription.on("subscribe", () => resolve()));
  subscription.on("message", ({ channel, message }) => seen.push([channel, message]));
  await ready;
  await client.publish("chan", "hello, you");
  await until(() => seen.length === 1, { what: "a message" });
  expect(seen).toEqual([["chan", "hello, you"]]);
  await subscription.unsubscribe();
});
