/** What the tests use of miniflare, whose own types need those of Cloudflare's whole platform. */
import type { Readable } from "node:stream";

export declare enum LogLevel {
  NONE,
}

export declare class Log {
  constructor(level: LogLevel);
}

export interface MiniflareOptions {
  readonly modules: readonly {
    readonly type: "ESModule";
    readonly path: string;
    readonly contents: string;
  }[];
  readonly compatibilityDate: string;
  readonly compatibilityFlags?: readonly string[];
  readonly bindings?: Readonly<Record<string, unknown>>;
  readonly log?: Log;
  handleRuntimeStdio?(stdout: Readable, stderr: Readable): void;
}

export declare class Miniflare {
  constructor(options: MiniflareOptions);
  readonly ready: Promise<URL>;
  dispatchFetch(url: string, init?: RequestInit): Promise<Response>;
  dispose(): Promise<void>;
}
