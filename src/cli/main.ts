/**
 * The command line: parses it, runs the command, and turns every end into an exit code.
 *
 * @module
 */
import { CommanderError } from "commander";
import { explain } from "./failure.ts";
import { EXIT, type Host } from "./host.ts";
import { createProgram } from "./program.ts";

/** Runs the command line of `host` and resolves with the exit code. */
export async function main(host: Host): Promise<number> {
  let code: number = EXIT.ok;
  try {
    const program = createProgram(host, (result) => code = result);
    await program.parseAsync([...host.args], { from: "user" });
    return code;
  } catch (error) {
    return error instanceof CommanderError ? usageCode(error) : explain(host, error);
  }
}

/** Commander ends help and version by an error too. */
function usageCode(error: CommanderError): number {
  const asked = error.exitCode === 0 || error.code === "commander.help";
  return asked ? EXIT.ok : EXIT.usage;
}
