/** The adapters' contracts, kept inside edge-runtime's strict VM. */
import { EdgeVM } from "@edge-runtime/vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundleTests } from "../support/bare/bundle.ts";
import type { Report } from "../support/bare/vitest.ts";
import { CONTRACTS, type ContractServers, startContractServers } from "../support/edge/bench.ts";

let servers: ContractServers;

beforeAll(async () => {
  servers = await startContractServers();
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

// One after the other: the VM and the servers share this process.
test.each(CONTRACTS)("edge-runtime: the contract of %s", async (name, file, least) => {
  const vm = new EdgeVM({ initialCode: await bundleTests([file], "iife") });
  const { run } = vm.context as unknown as { run(provided: object): Promise<Report[]> };
  const [report] = await run(servers.given("shared"));
  console.log(`edge-runtime: ${name}: ${report?.passed} tests pass`);
  expect(report?.failed).toEqual([]);
  expect(report?.passed).toBeGreaterThanOrEqual(least);
}, 120_000);
