/**
 * Commands as they come in: a JSON array, several of them, or a path.
 *
 * @module
 */
import { malformed, Refusal } from "./fault.ts";
import { parseRows } from "./json.ts";
import type { Limits } from "./options.ts";

/** A command as it goes to Redis: its name, in capitals, then its arguments. */
export interface Command {
  readonly name: string;
  readonly args: readonly (string | Uint8Array)[];
}

/** One command of a JSON body. */
export function readCommand(body: Uint8Array, { maxArguments }: Limits): Command {
  return commandOf(parseRows(body, 1, maxArguments));
}

/** The rows of a pipeline or a transaction. */
export function readCommands(
  body: Uint8Array,
  { maxArguments, maxCommands }: Limits,
): readonly Command[] {
  const rows = parseRows(body, 2, maxArguments);
  if (!Array.isArray(rows)) throw malformed("a two-dimensional JSON array is expected");
  if (rows.length === 0) throw new Refusal(400, "ERR empty pipeline request");
  if (rows.length > maxCommands) {
    throw new Refusal(
      400,
      `ERR max pipeline length exceeded. Limit: ${maxCommands} commands, Actual: ${rows.length}`,
    );
  }
  return rows.map(commandOf);
}

function commandOf(row: unknown): Command {
  if (!Array.isArray(row)) throw malformed("a JSON array is expected");
  if (row.length === 0) throw new Refusal(400, "ERR empty command");
  const [name, ...args] = row.map(argument);
  return { name: nameOf(name ?? ""), args };
}

function argument(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  throw malformed("arguments are strings, numbers and booleans");
}

/** Names go to the library and into errors: nothing but a word passes, "a.b" of a module and "a-b" included. */
export function nameOf(text: string): string {
  const name = text.toUpperCase();
  if (/^[A-Z][A-Z0-9._-]{0,63}$/.test(name)) return name;
  if (text === "") throw new Refusal(400, "ERR empty command");
  throw new Refusal(400, "ERR Command is not available: the name of a command is a word");
}
