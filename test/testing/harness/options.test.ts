import { expect, test } from "vitest";
import { Lab } from "../../../src/testing/harness/lab.ts";
import { type HarnessOptions, settle } from "../../../src/testing/harness/options.ts";
import { shop } from "./setup.ts";

test("patience is 5 s, and who waits for 4 s is told of, before a runner ends the test", () => {
  expect(settle({})).toMatchObject({ patience: 5000, worry: 4000 });
});

/** What a harness with these options does at the end of a long wait. */
function worry(options: HarnessOptions): void {
  const lab = new Lab(shop().app, settle(options));
  try {
    lab.simulator.onWorry?.("It waits.");
  } finally {
    lab.close();
  }
}

test("who waits for long is told to the harness's logger, whatever that does", () => {
  const lines: string[] = [];
  const logger = {
    log(level: string, message: string): void {
      lines.push(`${level} ${message}`);
      throw new Error("by the test");
    },
  };
  worry({ logger });
  expect(lines).toEqual(["warning It waits."]);
});

test("without a logger it is told to the console", () => {
  const lines: unknown[] = [];
  const { error } = console;
  console.error = (line: unknown) => void lines.push(line);
  try {
    worry({});
  } finally {
    console.error = error;
  }
  expect(lines).toEqual([expect.stringContaining("WARNING/MainProcess] It waits.")]);
});
