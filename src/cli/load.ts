/**
 * Finds the app that `-A` names: `./run.ts`, `./run`, `run`, `@scope/package`, each with `:attribute` or without.
 *
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CeleriacError, ConfigurationError } from "../errors.ts";
import { APP } from "../app/inner.ts";
import type { Celery } from "../app/app.ts";

/** What the loader must know of its surroundings. */
export interface LoadOptions {
  /** The folder that paths are relative to. */
  readonly folder: string;
  /** Whether the runtime loads TypeScript by itself. */
  readonly stripsTypes: boolean;
}

/** In the order in which they are tried after a name without an ending. */
const ENDINGS = [".ts", ".mts", ".js", ".mjs", ".tsx", ".cts", ".cjs"];

/** Node 20 cannot load these by itself. */
const TYPED = /\.(?:[mc]?ts|tsx)$/;

/** Where Celery looks, and the module's default after that. */
const ATTRIBUTES = ["app", "celery", "default"];

/**
 * Loads the module that `spec` names and takes its app, then loads `include` for the tasks in it.
 *
 * @throws ConfigurationError "app-not-found" (no such module), "app-broken" (it throws while it loads), "app-missing" (no app in it)
 */
export async function loadApp(
  spec: string,
  include: readonly string[],
  options: LoadOptions,
): Promise<Celery> {
  const { module, attribute } = split(spec);
  const names = [module, ...include];
  const urls = await Promise.all(names.map((name) => locate(name, options.folder)));
  const load = !options.stripsTypes && urls.some((url) => TYPED.test(url)) ? await typedLoader() : native;
  const [app] = await inOrder(names.map((name, at) => () => importModule(load, urls[at] ?? "", name)));
  return pick(app ?? {}, module, attribute);
}

/** `module:attribute`; a drive letter or a URL's scheme is no module. */
function split(spec: string): { module: string; attribute: string | undefined } {
  const found = /^(.{2,}):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(spec);
  const [, module, attribute] = found ?? [];
  return { module: module ?? spec, attribute };
}

async function locate(module: string, folder: string): Promise<string> {
  if (module.startsWith("file:")) return module;
  const path = fileOf(resolve(folder, module));
  if (path !== undefined) return pathToFileURL(path).href;
  const bare = !module.startsWith(".") && !module.startsWith("/");
  const found = bare ? await packageOf(module, folder) : undefined;
  if (found !== undefined) return found;
  throw new ConfigurationError(
    "app-not-found",
    `Unable to load celery application: the module ${quote(module)} was not found.`,
    {
      hint: `It is looked for from ${folder}; -A takes a path (./run.ts) or the name of a package.`,
    },
  );
}

function fileOf(path: string): string | undefined {
  const candidates = [
    path,
    ...ENDINGS.map((ending) => path + ending),
    ...ENDINGS.map((ending) => join(path, `index${ending}`)),
  ];
  return candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
}

/** Resolved from the user's folder, not from ours; jiti knows the `import` condition of `exports` on every runtime. */
async function packageOf(name: string, folder: string): Promise<string | undefined> {
  const { createJiti } = await import("jiti");
  const parent = pathToFileURL(join(folder, "noop.js")).href;
  const found = createJiti(parent, { fsCache: false }).esmResolve(name, { try: true });
  return found === undefined || found === "" ? undefined : found;
}

type Loader = (url: string) => Promise<Record<string, unknown>>;

const native: Loader = (url) => import(url);

/** For all modules of a command, or for none: one that both loaders knew would be there twice, and its app too. */
async function typedLoader(): Promise<Loader> {
  const { createJiti } = await import("jiti");
  // fsCache: jiti would write, and run, compiled files in a shared folder whose name can be guessed.
  const jiti = createJiti(import.meta.url, { fsCache: false, tryNative: false });
  return (url) => jiti.import(url);
}

async function importModule(load: Loader, url: string, module: string): Promise<Record<string, unknown>> {
  try {
    return await load(url);
  } catch (cause) {
    // Two tasks of one name, an unknown option: they have a code of their own.
    if (cause instanceof CeleriacError) throw cause;
    const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new ConfigurationError(
      "app-broken",
      `Unable to load celery application: while loading the module ${
        quote(module)
      } this error occurred: ${reason}`,
      { cause },
    );
  }
}

async function inOrder<T>(steps: readonly (() => Promise<T>)[]): Promise<T[]> {
  const done: T[] = [];
  for (const step of steps) done.push(await step());
  return done;
}

function pick(exported: Record<string, unknown>, module: string, attribute: string | undefined): Celery {
  const names = attribute === undefined ? ATTRIBUTES : [attribute];
  for (const name of names) {
    const value = exported[name];
    if (isApp(value)) return value;
  }
  const found = Object.keys(exported).filter((name) => name !== "__esModule");
  const wanted = attribute === undefined ? "`app`, `celery` or the default export" : `\`${attribute}\``;
  throw new ConfigurationError(
    "app-missing",
    `Unable to load celery application: in ${quote(module)} ${wanted} is no Celery app.`,
    {
      hint: found.length === 0
        ? "The module exports nothing."
        : `The module exports ${found.join(", ")}${
          found.some((name) => isApp(exported[name])) ? "; name the app with :NAME." : "."
        }`,
    },
  );
}

/** Known by the brand, so that an app of another copy is found too; the worker then tells the copies apart. */
function isApp(value: unknown): value is Celery {
  return typeof value === "object" && value !== null && APP in value;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
