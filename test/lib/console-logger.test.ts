import { describe, expect, test } from "vitest";
import { consoleLogger, type ConsoleLoggerOptions } from "../../src/lib/console-logger.ts";

function setup(options: ConsoleLoggerOptions = {}) {
  const written: string[] = [];
  const now = new Date(2026, 10, 22, 6, 1, 29, 45).getTime();
  const logger = consoleLogger({
    level: "info",
    colour: false,
    write: (text) => void written.push(text),
    clock: { now: () => now, soon: (callback) => queueMicrotask(callback) },
    ...options,
  });
  return { logger, written };
}

describe("the console's log", () => {
  test("writes Celery's format in local time", () => {
    const { logger, written } = setup();
    logger.log("info", "w1@host ready.");
    logger.flush();
    expect(written).toEqual(["[2026-11-22 06:01:29,045: INFO/MainProcess] w1@host ready.\n"]);
  });

  test("leaves out what is less urgent than its level", () => {
    const { logger, written } = setup({ level: "error" });
    logger.log("warning", "hm");
    logger.log("critical", "oh");
    expect(written.join("")).toBe("[2026-11-22 06:01:29,045: CRITICAL/MainProcess] oh\n");
  });

  test("gathers lines of one tick, and writes a warning at once", async () => {
    const { logger, written } = setup();
    logger.log("info", "one");
    logger.log("info", "two");
    expect(written).toEqual([]);
    await Promise.resolve();
    expect(written.length).toBe(1);
    logger.log("warning", "three");
    expect(written.length).toBe(2);
  });

  test("prints a traceback below its line", () => {
    const { logger, written } = setup();
    logger.log("error", "Task a[1] raised unexpected: Error('x')", {
      traceback: "Error: x\n    at f (a.ts:1)\n",
    });
    expect(written.join("")).toMatch(/raised unexpected: Error\('x'\)\nError: x\n {4}at f \(a\.ts:1\)\n$/);
  });

  test("lets no message and no traceback forge a line or steer the terminal", () => {
    const { logger, written } = setup();
    const forged = "[2026-11-22 00:00:00,000: CRITICAL/MainProcess] FORGED";
    const hostile = `k\n${forged} \u001b[2J\r${forged}\u2028${forged}\u0085${forged}\u202e\u0007\ud800`;
    logger.log("info", `said ${hostile}`);
    logger.log("error", "failed", { traceback: `${forged}\nTypeError: ${hostile}\n\tat f (a.ts:1)\n` });
    const text = written.join("");
    expect(text).not.toMatch(/[^\P{C}\n\t]|\u2028/u);
    expect(text.match(/^\[.*/gm)).toEqual([
      "[2026-11-22 06:01:29,045: INFO/MainProcess] said k",
      "[2026-11-22 06:01:29,045: ERROR/MainProcess] failed",
    ]);
    const rest = ` \\x1b[2J\\r${forged}\\u2028${forged}\\x85${forged}\\u202e\\x07\\ud800`;
    expect(text.split("\n")).toEqual([
      "[2026-11-22 06:01:29,045: INFO/MainProcess] said k",
      `  ${forged}${rest}`,
      "[2026-11-22 06:01:29,045: ERROR/MainProcess] failed",
      `  ${forged}`,
      "TypeError: k",
      `  ${forged}${rest}`,
      "\tat f (a.ts:1)",
      "",
    ]);
  });

  test("leaves a message that begins with a bracket, and one of many lines, as they are", () => {
    const { logger, written } = setup();
    logger.log("error", "[1, 2]\nnext\n");
    expect(written).toEqual(["[2026-11-22 06:01:29,045: ERROR/MainProcess] [1, 2]\nnext\n\n"]);
  });

  test("colours by level as Celery does, and only where it may", () => {
    const { logger, written } = setup({ colour: true, level: "debug" });
    for (const level of ["debug", "info", "warning", "error", "critical"] as const) logger.log(level, level);
    logger.flush();
    const colours = written.join("").split("\n").filter(Boolean).map((line) =>
      /^\u001b\[1;(\d+)m/.exec(line)?.[1]
    );
    expect(colours).toEqual(["34", undefined, "33", "31", "35"]);
  });
});
