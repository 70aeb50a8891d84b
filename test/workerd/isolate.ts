/**
 * One isolate of workerd, and what it says.
 *
 * @module
 */
import { Log, LogLevel, Miniflare } from "miniflare";
import { bundle } from "../support/bare/bundle.ts";
import type { Answer } from "../support/edge/handler.ts";

/** A running worker; disposing it ends its process. */
export interface Isolate extends AsyncDisposable {
  readonly url: string;
  /** All that workerd printed. */
  readonly log: string;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The answer, as JSON. */
  ask(path: string): Promise<Answer>;
}

/** Compatibility flags under which the functions are tested. */
export const FLAGS: readonly (readonly [string, readonly string[]])[] = [
  ["without any flag", []],
  ["with nodejs_compat", ["nodejs_compat"]],
];

/** What workerd says where one request touches what belongs to another, or where a request can never end. */
export const TROUBLE = /different request|never generate a response|hung|uncaught|unhandled/i;

/** @param code TypeScript whose default export is a handler; the package's names lead to the source */
export async function isolate(code: string, flags: readonly string[] = []): Promise<Isolate> {
  return await run({ "worker.mjs": await bundle(code) }, flags);
}

/** @param modules by name; the first is the worker */
export async function run(
  modules: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Isolate> {
  let log = "";
  const worker = new Miniflare({
    modules: Object.entries(modules).map(([path, contents]) => ({ type: "ESModule", path, contents })),
    compatibilityDate: "2026-04-01",
    compatibilityFlags: [...flags],
    log: new Log(LogLevel.NONE),
    handleRuntimeStdio(...streams) {
      for (const stream of streams) {
        stream.on("data", (bytes: Uint8Array) => log += new TextDecoder().decode(bytes));
      }
    },
  });
  const ready = await worker.ready.catch(async (cause: unknown) => {
    await worker.dispose().catch(() => {});
    throw new Error(`workerd does not start:\n${log}`, { cause });
  });
  const url = ready.href.replace(/\/$/, "");
  const get = (path: string, init?: RequestInit): Promise<Response> => fetch(url + path, init);
  return {
    url,
    get log() {
      return log;
    },
    fetch: get,
    ask: async (path) => await (await get(path)).json() as Answer,
    [Symbol.asyncDispose]: () => worker.dispose(),
  };
}
