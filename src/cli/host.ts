/**
 * What the commands see of their process. `bin.ts` fills it from the real one; nothing else in the CLI touches the process.
 *
 * @module
 */

/** The signals that end a worker. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGQUIT";

/** One stream of the terminal. */
export interface Output {
  write(text: string): void;
  /** Whether a person may be watching in colour: a terminal, and no NO_COLOR. */
  readonly colour: boolean;
}

/** Where something is served. */
export interface Address {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** The process around a command. */
export interface Host {
  /** The arguments after the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The operating system and runtime, as the banner shows them. */
  readonly system: string;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Whether the runtime loads TypeScript by itself (Bun, Deno, Node from 22.18). */
  readonly stripsTypes: boolean;
  /** Wall time, ms since the epoch. */
  now(): number;
  cwd(): string;
  chdir(folder: string): void;
  /** Calls `listener` for each `signal` until disposed; the signal's own effect is off meanwhile. */
  onSignal(signal: StopSignal, listener: () => void): Disposable;
  /** Calls `listener` for each rejection that nobody handles, until disposed; it does not end the process meanwhile. */
  onStray(listener: (error: unknown) => void): Disposable;
  /** Answers HTTP requests at that address until disposed of; rejects where the address cannot be had. */
  serve(at: Address, answer: (request: Request) => Response): Promise<Disposable & Address>;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** Celery's exit codes: done, failed, wrong usage, broker or backend out of reach (sysexits EX_UNAVAILABLE). */
export const EXIT = { ok: 0, failure: 1, usage: 2, unavailable: 69 } as const;
