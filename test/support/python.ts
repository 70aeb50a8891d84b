/**
 * A Python process that answers JSON lines: real Celery on the other side of a test.
 *
 * @module
 */
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, startChild, tail } from "./child.ts";

/** The interpreter that has celery: `$PYTHON`, or Debian's. */
export const PYTHON: string = process.env["PYTHON"] ?? "/usr/bin/python3";

/** Where the Python side of the interop suites lives. */
export const FIXTURES: string = fileURLToPath(new URL("../interop/fixtures/", import.meta.url));

/** Python must not leave `__pycache__` in the tree, nor hold its output back. */
export const PYTHON_ENV: Readonly<Record<string, string>> = {
  PYTHONDONTWRITEBYTECODE: "1",
  PYTHONUNBUFFERED: "1",
};

/** Python raised: `type` and `args` are those of the exception. */
export class PythonError extends Error {
  /** The class name, as `ValueError`. */
  readonly type: string;
  readonly module: string;
  /** The names of the class and its bases, nearest first. */
  readonly bases: readonly string[];
  readonly args: readonly unknown[];
  readonly traceback: string;

  constructor(method: string, raised: Raised) {
    super(`Python's ${method} raised ${raised.type}: ${raised.message}\n${raised.traceback}`);
    this.name = "PythonError";
    this.type = raised.type;
    this.module = raised.module;
    this.bases = raised.bases;
    this.args = raised.args;
    this.traceback = raised.traceback;
  }
}

interface Raised {
  readonly type: string;
  readonly module: string;
  readonly bases: readonly string[];
  readonly message: string;
  readonly args: readonly unknown[];
  readonly traceback: string;
}

interface Answer {
  readonly ready?: true;
  readonly facts?: Readonly<Record<string, string>>;
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: Raised;
}

/** A running Python process. Calls are answered one after the other, in the order in which they were made. */
export interface Python extends AsyncDisposable {
  readonly pid: number;
  /** What the script told of itself: `client.py` tells `celery`, `kombu` and `python` versions. */
  readonly facts: Readonly<Record<string, string>>;
  readonly stderr: string;
  /**
   * Calls a method of the script with named parameters. Throws {@link PythonError} where Python raises, and an Error with Python's
   * stderr at the deadline or when the process ends.
   *
   * @param options.timeout ms, 30,000 by default
   */
  call<T = unknown>(
    method: string,
    params?: Readonly<Record<string, unknown>>,
    options?: { readonly timeout?: number },
  ): Promise<T>;
  stop(): Promise<void>;
}

/** Says what to do where Python or its packages are missing: an interop test fails then, it is never skipped. */
export function explainEnd(child: Child, what: string): Error {
  const missing = /could not be started/.test(child.ended ?? "") ||
    /ModuleNotFoundError|ImportError|No module named/.test(child.stderr);
  const cure = missing
    ? ` ${PYTHON} with celery and redis is needed: run npm run services (or set PYTHON).`
    : "";
  return new Error(`${what} ended (${child.ended}).${cure}\n${tail(child.stderr)}`);
}

/**
 * Starts a script of `test/interop/fixtures` (or an absolute path) and waits until it says that it is ready. The script serves by
 * `jsonl.py`. Disposing it kills its process group.
 */
export async function startPython(
  script: string,
  args: readonly string[] = [],
  options: { readonly env?: Readonly<Record<string, string>>; readonly timeout?: number } = {},
): Promise<Python> {
  const path = isAbsolute(script) ? script : FIXTURES + script;
  const child = startChild(PYTHON, [path, ...args], {
    cwd: FIXTURES,
    env: { ...PYTHON_ENV, PYTHONPATH: FIXTURES, ...options.env },
  });
  const waiting = new Map<number, { answer: (answer: Answer) => void; fail: (why: Error) => void }>();
  let last = 0;
  const ask = (id: number, what: string, timeout: number): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new Error(`${what}: no answer within ${timeout} ms\n${tail(child.stderr)}`));
      }, timeout);
      waiting.set(id, {
        answer: (answer) => (clearTimeout(timer), resolve(answer)),
        fail: (why) => (clearTimeout(timer), reject(why)),
      });
      if (child.ended !== undefined) failAll();
    });
  const failAll = (): void => {
    for (const one of waiting.values()) one.fail(explainEnd(child, script));
    waiting.clear();
  };
  child.onLine((line) => {
    const answer = JSON.parse(line) as Answer;
    const id = answer.ready ? 0 : answer.id ?? -1;
    waiting.get(id)?.answer(answer);
    waiting.delete(id);
  });
  void child.end.then(failAll);

  let hello: Answer;
  try {
    hello = await ask(0, `the start of ${script}`, options.timeout ?? 30_000);
  } catch (error) {
    await child.stop("SIGKILL");
    throw error;
  }
  const stop = async (): Promise<void> => void await child.stop("SIGKILL");
  return {
    pid: child.pid,
    facts: hello.facts ?? {},
    get stderr() {
      return child.stderr;
    },
    async call<T>(
      method: string,
      params: Readonly<Record<string, unknown>> = {},
      { timeout = 30_000 }: { readonly timeout?: number } = {},
    ): Promise<T> {
      last += 1;
      const answered = ask(last, `Python's ${method}`, timeout);
      child.write(`${JSON.stringify({ id: last, method, params })}\n`);
      const { value, error } = await answered;
      if (error !== undefined) throw new PythonError(method, error);
      return value as T;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Starts `client.py`: a real Celery app with this broker and backend, and `conf` in Celery's own lower-case names. Its methods:
 * `send_task{name,args?,kwargs?,options?}`, `send_many`, `apply{spec}`, `get{id,timeout}` → `{value,repr,type}`, `state{id}`, `meta{id}`,
 * `forget`, `store_result`, `mark_as_done`, `mark_as_failure`, `encode`, `decode`, `control`, `delete_queues{names}`.
 */
export function startCeleryClient(options: {
  readonly broker: string;
  readonly backend?: string;
  readonly conf?: Readonly<Record<string, unknown>>;
}): Promise<Python> {
  return startPython("client.py", [
    options.broker,
    options.backend ?? "",
    JSON.stringify(options.conf ?? {}),
  ]);
}
