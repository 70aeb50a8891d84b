import { expect, test, vi } from "vitest";
import { Lab } from "../../../src/testing/harness/lab.ts";
import { settle } from "../../../src/testing/harness/options.ts";
import { shop } from "./setup.ts";

test("patience is 5 s", () => {
  expect(settle({}).patience).toBe(5000);
});

test("what waits for long is told to the harness's logger, without one to the console", () => {
  const lines: string[] = [];
  const heard = new Lab(
    shop().app,
    settle({ logger: { log: (level, message) => void lines.push(`${level} ${message}`) } }),
  );
  heard.simulator.onWorry?.("It waits.");
  expect(lines).toEqual(["warning It waits."]);
  const error = vi.spyOn(console, "error").mockReturnValue(undefined);
  try {
    new Lab(shop().app, settle({})).simulator.onWorry?.("It waits.");
    expect(error.mock.calls).toEqual([[expect.stringContaining("WARNING/MainProcess] It waits.")]]);
  } finally {
    error.mockRestore();
  }
});
