/** The faults of the simulation against a real RabbitMQ: the same scenario, and the same judgement. */
import { fileURLToPath } from "node:url";
import { expect, inject, test } from "vitest";
import { real, scenario, simulated, verdictOf } from "./stages.ts";

const DOOMED = fileURLToPath(new URL("./fixtures/doomed.mjs", import.meta.url));
const FLAGS = inject("runtime") === "deno" ? ["run", "-A"] : [];

test("a kill at a named point, a lost confirm, a cut and a double: simulated and real have one verdict", {
  timeout: 90_000,
}, async () => {
  await using fake = await simulated();
  const judged = verdictOf(await scenario(fake));
  expect(judged).toEqual({
    ok: true,
    lost: 0,
    unexpected: 0,
    duplicates: "explained",
    recovered: 1,
    violations: [],
  });
  await using stage = await real(inject("amqp"), [process.execPath, ...FLAGS, DOOMED]);
  expect(verdictOf(await scenario(stage))).toEqual(judged);
});

test("what cannot be done to a real server is refused", async () => {
  await using stage = await real(inject("amqp"), []);
  await expect(stage.fault.skew("client", 1)).rejects.toMatchObject({ code: "fault-unsupported" });
  await expect(stage.fault.restart()).rejects.toMatchObject({ code: "fault-unsupported" });
  await expect(stage.fault.cut("nobody")).rejects.toMatchObject({ code: "fault-node" });
});
