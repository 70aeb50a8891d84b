/**
 * Errors as the command line shows them: one line with what happened, its code and what to do. Never a stack, which would bury it.
 *
 * @module
 */
import { CeleriacError, ConnectionError } from "../errors.ts";
import { oneLine } from "../lib/printable.ts";
import { redactText } from "../lib/redact.ts";
import { EXIT, type Host } from "./host.ts";

/** Writes the line and returns the exit code that goes with the error. */
export function explain(host: Host, error: unknown, colour: boolean = host.stderr.colour): number {
  // A module of the user's may put a whole URL into its error.
  const line = redactText(`celeriac: ${oneLine(sentence(error))}`);
  host.stderr.write(`${colour ? `\u001b[31m${line}\u001b[0m` : line}\n`);
  return error instanceof ConnectionError ? EXIT.unavailable : EXIT.failure;
}

function sentence(error: unknown): string {
  if (error instanceof CeleriacError) return `${error.message} [${error.code}]`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
