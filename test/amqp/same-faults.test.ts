/** The faults of the simulation against a real RabbitMQ, with a real Redis for the results: the same scenarios, and the same judgement. */
import { describe, expect, inject, test } from "vitest";
import { AssertionError } from "../../src/testing/assert.ts";
import { realStage, same } from "./same.ts";
import { DEATHS, dying } from "./deaths.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";
import { simulated } from "./stage-simulated.ts";
import { verdictOf } from "./stages.ts";

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

test("a worker that does not end in order when it is stopped is told", async () => {
  await using stage = await realStage(SERVERS, ["sh", "-c", '"$@"; exit 3', "sh"]);
  await stage.start();
  await expect(verdictOf(stage)).rejects.toThrow("worker-1 ended: exit 3");
});

test("of what ends the last wait only its being too long is left to the report", async () => {
  await using stage = simulated();
  const ending = (error: Error): void => {
    stage.until = (what) => what === "all is done" ? Promise.reject(error) : Promise.resolve();
  };
  ending(new AssertionError("not within 1 ms: all is done"));
  expect(await verdictOf(stage)).toMatchObject({ ok: true });
  ending(new Error("worker-1 ended: exit 1"));
  await expect(verdictOf(stage)).rejects.toThrow("worker-1 ended: exit 1");
});
