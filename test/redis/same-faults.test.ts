/** The faults of the simulation against a real Redis, as broker and for the results: the same scenarios, and the same judgement. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realStage, same } from "../amqp/same.ts";
import { DEATHS, dying } from "../amqp/deaths.ts";
import { ON_REDIS, type Scenario, SCENARIOS } from "../amqp/scenarios.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";

let server: PrivateServer;
let servers: { readonly broker: string; readonly backend: string };
beforeAll(async () => {
  server = await startRedis();
  servers = { broker: server.url, backend: server.url };
}, 60_000);
afterAll(() => server?.[Symbol.asyncDispose]());

// Side by side: each has queues and processes of its own, and mostly waits.
describe.concurrent("simulated and real have one verdict", { timeout: 120_000 }, () => {
  test.each(ON_REDIS)("Redis: %s", (name) => {
    // To a worker whose clock is an hour ahead every lease of its neighbours is over: it would put back what they hold.
    const { url } = server;
    const aside = { broker: url.replace(/0$/, "1"), backend: url.replace(/0$/, "1") };
    return same(SCENARIOS[name] as Scenario, name === "a clock that is wrong" ? aside : servers);
  });

  // A late ack is written at once here.
  test.each(DEATHS.filter((death) => death !== "afterSettle, unsent"))(
    "Redis: a worker that dies when its task is at %s",
    (death) => same(dying(death), servers),
  );
});

test("what is done to single frames is refused", async () => {
  await using stage = await realStage(servers);
  for (const fault of ["loseAck", "loseConfirm", "refuse", "scatterConfirms"] as const) {
    await expect(stage.fault[fault]("client")).rejects.toMatchObject({ code: "fault-unsupported" });
  }
});
