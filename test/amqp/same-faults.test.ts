/** The faults of the simulation against a real RabbitMQ, with a real Redis for the results: the same scenarios, and the same judgement. */
import { describe, expect, inject, test } from "vitest";
import { realStage, same } from "./same.ts";
import { DEATHS, dying } from "./deaths.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";

const SERVERS = { broker: inject("amqp"), backend: inject("redis") };

// Side by side: each has queues and processes of its own, and mostly waits.
describe.concurrent("simulated and real have one verdict", { timeout: 120_000 }, () => {
  test.each(Object.keys(SCENARIOS))("RabbitMQ: %s", (name) => same(SCENARIOS[name] as Scenario, SERVERS));

  test.each(DEATHS)(
    "RabbitMQ: a worker that dies when its task is at %s",
    (death) => same(dying(death), SERVERS),
  );
});

test("what cannot be done to a real server is refused", async () => {
  await using stage = await realStage(SERVERS);
  const cannot = { code: "fault-unsupported" };
  await expect(stage.fault.restart()).rejects.toMatchObject(cannot);
  await expect(stage.fault.drop("client", { flushed: true })).rejects.toMatchObject(cannot);
  await expect(stage.fault.kill("client", { unsent: "lost" })).rejects.toMatchObject(cannot);
  await expect(stage.fault.cut("nobody")).rejects.toMatchObject({ code: "fault-node" });
});
