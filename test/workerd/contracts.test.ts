/** The adapters' contracts, kept inside workerd without any flag: everything within one request, as workerd wants it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundleTests } from "../support/bare/bundle.ts";
import type { Report } from "../support/bare/vitest.ts";
import { CONTRACTS, type ContractServers, startContractServers } from "../support/edge/bench.ts";
import { run } from "./isolate.ts";

let servers: ContractServers;

beforeAll(async () => {
  servers = await startContractServers();
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

test.concurrent.each(CONTRACTS)("workerd: the contract of %s", async (name, file, least) => {
  const given = JSON.stringify(servers.given("call"));
  const worker = `import { run } from "./tests.mjs";
    export default { fetch: async () => Response.json(await run(${given})) };`;
  await using isolate = await run({ "worker.mjs": worker, "tests.mjs": await bundleTests([file], "esm") });
  const [report] = await (await isolate.fetch("/")).json() as Report[];
  console.log(`workerd: ${name}: ${report?.passed} tests pass`);
  expect(report?.failed).toEqual([]);
  expect(report?.passed).toBeGreaterThanOrEqual(least);
}, 300_000);
