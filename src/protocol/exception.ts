/**
 * Errors as they travel in results: a type, its arguments and its module, all of them text and plain values.
 *
 * @module
 */
import { type Fields, lenientText, own } from "./fields.ts";
import { encodeJson } from "./json-writer.ts";
import { saferepr } from "./repr.ts";

/** An exception on the wire, as Celery's JSON results hold it. */
export interface WireException {
  readonly exc_type: string;
  readonly exc_message: readonly unknown[];
  readonly exc_module: string;
}

/**
 * Python's built-in exceptions that one text can make. Not among them: those that end a Python process (`SystemExit`,
 * `KeyboardInterrupt`, `GeneratorExit`), since a peer raises what it reads.
 */
export const PYTHON_EXCEPTIONS: ReadonlySet<string> = /* @__PURE__ */ words(
  "ArithmeticError AssertionError AttributeError BlockingIOError BrokenPipeError BufferError BytesWarning ChildProcessError " +
    "ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError EncodingWarning " +
    "EnvironmentError Exception FileExistsError FileNotFoundError FloatingPointError FutureWarning IOError ImportError ImportWarning " +
    "IndentationError IndexError InterruptedError IsADirectoryError KeyError LookupError MemoryError ModuleNotFoundError NameError " +
    "NotADirectoryError NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError ProcessLookupError " +
    "RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning " +
    "SystemError TabError TimeoutError TypeError UnboundLocalError UnicodeError UnicodeWarning UserWarning ValueError Warning " +
    "ZeroDivisionError",
);

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

/**
 * What was thrown, in wire form: `exc_type` is the error's name, `exc_module` "builtins" where Python has an exception of that name, else
 * "celeriac". An error that came from a peer (it has `excType`, `excMessage`, `excModule`) goes on as it came. What has no JSON form is
 * sent as its `repr`.
 */
export function encodeException(error: unknown): WireException {
  if (!(error instanceof Error)) return wire("Error", [textOf(error)], "celeriac");
  const remote = error as Error & {
    readonly excType?: unknown;
    readonly excMessage?: unknown;
    readonly excModule?: unknown;
  };
  if (typeof remote.excType === "string" && Array.isArray(remote.excMessage)) {
    return wire(
      remote.excType,
      remote.excMessage.map(encodable),
      typeof remote.excModule === "string" ? remote.excModule : "celeriac",
    );
  }
  const name = nameOf(error);
  return wire(name, [String(error.message)], PYTHON_EXCEPTIONS.has(name) ? "builtins" : "celeriac");
}

function wire(type: string, message: readonly unknown[], module: string): WireException {
  return { exc_type: type, exc_message: message, exc_module: module };
}

function nameOf(error: Error): string {
  // Python makes a class of this name, which must hold no NUL.
  const name = typeof error.name === "string" ? error.name.replaceAll("\0", "").slice(0, 200) : "";
  return name === "" ? "Error" : name;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : saferepr(value);
}

function encodable(value: unknown): unknown {
  try {
    encodeJson(value);
    return value;
  } catch {
    return saferepr(value);
  }
}

/** The longest traceback that is stored, in characters. */
const MAX_TRACEBACK = 32_768;

/** The stack of what was thrown, with those of its causes, as text. */
export function tracebackOf(error: unknown): string {
  const parts: string[] = [];
  const seen = new Set<unknown>();
  for (let next = error; next !== undefined && next !== null && !seen.has(next) && seen.size < 10;) {
    seen.add(next);
    parts.push(stackOf(next));
    next = next instanceof Error ? next.cause : undefined;
  }
  return parts.join("\nCaused by: ").slice(0, MAX_TRACEBACK);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return textOf(error);
  const head = `${error.name}: ${error.message}`;
  const stack = typeof error.stack === "string" ? error.stack : "";
  // Some engines write the frames alone.
  return stack.includes(error.message) ? stack : stack === "" ? head : `${head}\n${stack}`;
}

/** An exception as read from a result. */
export interface RemoteException {
  readonly excType: string;
  readonly excMessage: readonly unknown[];
  /** "" where the writer said none. */
  readonly excModule: string;
}

/** Reads the `result` of a failed task. Whatever stands there, it gives text and values: no class is ever looked up by name. */
export function decodeException(result: unknown): RemoteException {
  if (typeof result !== "object" || result === null || Array.isArray(result)) {
    return {
      excType: "Exception",
      excMessage: Array.isArray(result) ? [result] : listOf(result),
      excModule: "",
    };
  }
  const fields = result as Fields;
  return {
    excType: lenientText(fields, "exc_type") || "Exception",
    excMessage: listOf(own(fields, "exc_message")),
    excModule: lenientText(fields, "exc_module") ?? "",
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
}
