/** The harness under vitest's own pool for workerd, as a user sets it up. */
import { expect, test } from "vitest";
import { ROOT } from "../support/celeriac.ts";
import { runSample } from "../support/runner.ts";

test("vitest runs the sample of examples/testing inside workerd: 3 tests pass", async () => {
  const vitest = [`${ROOT}node_modules/vitest/vitest.mjs`, "run", "--config", "vitest.workerd.config.ts"];
  const said = await runSample(process.execPath, vitest);
  expect(said).toMatch(/^ *Tests +3 passed \(3\)$/m);
}, 120_000);
