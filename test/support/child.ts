/**
 * A child process in a group of its own: its output collected, its end awaited, the whole group stopped with it.
 *
 * @module
 */
import { spawn } from "node:child_process";

/** How a child is started. */
export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A started child. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** What it wrote so far; all of it, of both streams for `log`. */
  readonly stderr: string;
  readonly log: string;
  /** Undefined while it runs: "exit 1", "signal SIGTERM", or why it could not be started. */
  readonly ended: string | undefined;
  /** Resolves with `ended`. */
  readonly end: Promise<string>;
  write(text: string): void;
  /** Calls back for each full line of stdout. */
  onLine(listener: (line: string) => void): void;
  /** Resolves when the log matches; throws, with the log, at the deadline (ms) or when the child ends before. */
  saw(pattern: RegExp, timeout?: number): Promise<RegExpMatchArray>;
  /** Signals the group, awaits the end, kills what is left after `grace` ms. */
  stop(signal?: NodeJS.Signals, grace?: number): Promise<string>;
}

/** The last part of a log, as error messages show it. */
export function tail(text: string, length = 4000): string {
  return text.length <= length ? text : `…${text.slice(-length)}`;
}

/** Starts `command`; never throws for a command that is not there (see `ended`). */
export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const child = spawn(command, [...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  let stderr = "";
  let log = "";
  let line = "";
  let ended: string | undefined;
  const listeners: ((line: string) => void)[] = [];
  const watchers = new Set<() => void>();
  const grow = (text: string): void => {
    log += text;
    for (const watcher of watchers) watcher();
  };

  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    line += text;
    const lines = line.split("\n");
    line = lines.pop() ?? "";
    for (const full of lines) for (const listener of listeners) listener(full);
    grow(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    grow(text);
  });
  // A write to a child that just ended must not crash the test run: its end says more.
  child.stdin.on("error", () => {});

  const end = new Promise<string>((resolve) => {
    const settle = (how: string): void => {
      if (ended !== undefined) return;
      ended = how;
      resolve(how);
      for (const watcher of watchers) watcher();
    };
    child.once("error", (error) => settle(`could not be started: ${error.message}`));
    child.once("close", (code, signal) => settle(signal === null ? `exit ${code}` : `signal ${signal}`));
  });

  const signalGroup = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // Nobody is left in the group.
    }
  };

  const self: Child = {
    pid: child.pid ?? -1,
    get stderr() {
      return stderr;
    },
    get log() {
      return log;
    },
    get ended() {
      return ended;
    },
    end,
    write: (text) => void child.stdin.write(text),
    onLine: (listener) => void listeners.push(listener),
    saw: (pattern, timeout = 20_000) =>
      new Promise((resolve, reject) => {
        const finish = (act: () => void): void => {
          clearTimeout(timer);
          watchers.delete(look);
          act();
        };
        const fail = (why: string): void =>
          finish(() => reject(new Error(`${command}: no ${pattern} in its log: ${why}\n${tail(log)}`)));
        const look = (): void => {
          const found = log.match(pattern);
          if (found !== null) finish(() => resolve(found));
          else if (ended !== undefined) fail(`it ended (${ended})`);
        };
        const timer = setTimeout(() => fail(`waited ${timeout} ms`), timeout);
        watchers.add(look);
        look();
      }),
    async stop(signal = "SIGTERM", grace = 8000) {
      if (ended === undefined) {
        signalGroup(signal);
        const timer = setTimeout(() => signalGroup("SIGKILL"), grace);
        await end;
        clearTimeout(timer);
      }
      // The leader is gone; children that outlived it are not.
      signalGroup("SIGKILL");
      return ended ?? "";
    },
    async [Symbol.asyncDispose]() {
      await self.stop();
    },
  };
  return self;
}
