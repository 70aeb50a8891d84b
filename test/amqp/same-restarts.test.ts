/** A RabbitMQ that restarts, or is killed and started again: simulated and real have one verdict. */
import { afterAll, beforeAll, inject, test } from "vitest";
import { type RabbitServer, startRabbit } from "../support/servers.ts";
import { same } from "./same.ts";
import { restarting } from "./scenarios.ts";

let server: RabbitServer;
beforeAll(async () => {
  server = await startRabbit();
}, 150_000);
afterAll(() => server?.[Symbol.asyncDispose]());

test.each([["in order", false], ["without a word", true]] as const)(
  "a RabbitMQ that goes down %s while tasks run and wait: simulated and real have one verdict",
  async (_how, dirty) =>
    await same(restarting(dirty), { broker: server.url, backend: inject("redis"), server }),
  240_000,
);
