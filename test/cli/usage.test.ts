import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { VERSION } from "../../src/cli/version.ts";
import { startChild } from "../support/child.ts";
import { attempt, commandLine, run } from "./run.ts";

describe("the command line", () => {
  test("says its version, which is the package's", async () => {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    expect((JSON.parse(text) as { version: string }).version).toBe(VERSION);
    expect(await run(["--version"])).toEqual({
      end: "exit 0",
      stdout: `${VERSION} (celeriac)\n`,
      stderr: "",
    });
  });

  test("without a command shows what there is, as Celery does", async () => {
    const { end, stdout, stderr } = await attempt([]);
    expect(end).toBe("exit 0");
    expect(stdout + stderr).toMatch(
      /Usage: celeriac \[options\] \[command\][\s\S]*worker[\s\S]*call[\s\S]*result/,
    );
    expect(stdout + stderr).not.toMatch(/--loader|beat/);
  });

  test.each<[args: string[], says: RegExp]>([
    [["wroker"], /unknown command 'wroker'\n\(Did you mean worker\?\)/],
    [["beat"], /celeriac has no command 'beat' yet/],
    [["inspect", "active", "-j"], /celeriac has no command 'inspect' yet/],
    [["--config", "x", "worker"], /celeriac has no option '--config' yet/],
    [["--brokre", "x", "worker"], /unknown option '--brokre'\n\(Did you mean --broker\?\)/],
    [["worker", "--concurency", "4"], /unknown option '--concurency'\n\(Did you mean --concurrency\?\)/],
    [
      ["worker", "-c", "none"],
      /option '-c, --concurrency <count>' argument 'none' is invalid\. It is a whole number from 1 up\./,
    ],
    [["worker", "-l", "loud"], /It is one of DEBUG, INFO, WARNING, ERROR, CRITICAL\./],
    [["worker", "--autoscale", "10,3"], /celeriac has no option '--autoscale' yet/],
    [["worker", "-B"], /celeriac has no option '--beat' yet/],
    [["worker", "-P", "prefork"], /celeriac has no pool 'prefork' yet/],
    [
      ["worker", "-A", "./memory.ts"],
      /Instead you should use `-A` as a global option:\nceleriac -A … worker <...>/,
    ],
    [["call"], /missing required argument 'name'/],
    [["call", "t", "-a", "{}"], /\{\} is not a JSON array\./],
    [["call", "t", "-k", "[1"], /Not JSON/],
    [["call", "t", "--eta", "soon"], /ISO 8601/],
    [["result", "a", "b"], /too many arguments/],
  ])("%j is wrong usage, exit code 2", async (args, says) => {
    const { end, stdout, stderr } = await attempt(args);
    expect(stderr).toMatch(says);
    expect(stdout).toBe("");
    expect(end).toBe("exit 2");
  });

  test("tells the shell of wrong usage by 2", async () => {
    const { end, stderr } = await run(["wroker"]);
    expect(stderr).toContain("unknown command 'wroker'");
    expect(end).toBe("exit 2");
  });
});

test("a reader that goes away (`| head`) is no error", async () => {
  const [command = "", ...args] = commandLine(["worker", "--help"]);
  const script = '{ "$0" "$@"; echo "code $?" >&2; } | head -n 1';
  await using child = startChild("sh", ["-c", script, command, ...args]);
  expect(await child.end).toBe("exit 0");
  expect(child.stderr).toBe("code 0\n");
});

describe("-A", () => {
  test.each<[app: string, code: string, says: RegExp]>([
    [
      "./nowhere.ts",
      "app-not-found",
      /the module "\.\/nowhere\.ts" was not found\. It is looked for from .*fixtures/,
    ],
    ["nowhere", "app-not-found", /"nowhere" was not found/],
    [
      "./none.ts",
      "app-missing",
      /`app`, `celery` or the default export is no Celery app\. The module exports answer, help\./,
    ],
    [
      "./plain.mjs:answer",
      "app-missing",
      /`answer` is no Celery app\. The module exports .*; name the app with :NAME\./,
    ],
    ["./twice.ts", "task-duplicate", /Task tasks\.twice is declared twice/],
    ["./broken.ts", "app-broken", /this error occurred: TypeError: this module does not load/],
    ["./foreign.ts", "two-copies", /another copy of celeriac/],
  ])("%s fails with one line and the code %s, exit code 1", async (app, code, says) => {
    const { end, stdout, stderr } = await run(["-A", app, "call", "tasks.add"]);
    expect(stderr).toMatch(says);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
    expect(stderr).toContain(`[${code}]`);
    expect(stdout).toBe("");
    expect(end).toBe("exit 1");
  });

  test.each([
    ["a path without its ending", "./plain"],
    ["a name, as Celery has it", "plain"],
    ["the default export", "./plain.mjs"],
    ["an attribute", "./plain.mjs:mine"],
    ["another attribute of Celery's", "./memory.ts"],
  ])("takes %s", async (_what, app) => {
    const { end, stdout, stderr } = await run(["-A", app, "call", "tasks.add", "-a", "[2, 3]"]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(end).toBe("exit 0");
  });

  test("may come from the environment, and is needed for a worker", async () => {
    expect((await run(["call", "tasks.add"], { CELERY_APP: "./plain.mjs" })).end).toBe("exit 0");
    expect((await run(["--workdir", "..", "call", "t"], { CELERY_APP: "./fixtures/plain" })).end).toBe(
      "exit 0",
    );
    const { end, stderr } = await run(["worker"]);
    expect(stderr).toMatch(/^celeriac: No app was named\. Put -A before the command.* \[app-missing\]\n$/);
    expect(end).toBe("exit 1");
  });
});
