/**
 * `celeriac result ID`: waits for a task and prints what it returned.
 *
 * @module
 */
import type { Command } from "commander";
import { RemoteTaskError } from "../errors.ts";
import { encodeJson } from "../protocol/json.ts";
import { findApp, type Globals } from "./globals.ts";
import { EXIT, type Host } from "./host.ts";
import { seconds } from "./options.ts";

interface ResultFlags {
  readonly traceback?: boolean;
  readonly timeout?: number;
}

/** Makes `command` the result command; `done` takes the exit code. */
export function resultCommand(
  command: Command,
  host: Host,
  globals: () => Globals,
  done: (code: number) => void,
): void {
  command.description("wait for a task's result and print it")
    .argument("<id>", "the task's id")
    .option("--traceback", "print the traceback instead")
    .option("--timeout <seconds>", "give up after so many seconds", seconds)
    .action(async (id: string, flags: ResultFlags) => {
      await using found = await findApp(globals(), host);
      const { app } = found;
      const result = app.result(id);
      if (flags.traceback === true) {
        host.stdout.write(`${(await result.traceback() ?? "").trimEnd()}\n`);
        return done(EXIT.ok);
      }
      const value = await result.get({
        propagate: false,
        ...(flags.timeout === undefined ? {} : { timeout: flags.timeout }),
      });
      if (value instanceof RemoteTaskError) {
        host.stderr.write(`${value.traceback?.trimEnd() ?? value.message}\n`);
        return done(EXIT.failure);
      }
      host.stdout.write(`${typeof value === "string" ? value : encodeJson(value)}\n`);
      done(EXIT.ok);
    });
}
