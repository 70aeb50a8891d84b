/**
 * The options before the command, and the app that they lead to.
 *
 * @module
 */
import { transports } from "../../adapters/url.ts";
import { Celery } from "../app/app.ts";
import { innerOf } from "../app/inner.ts";
import type { CeleryOptions } from "../app/options.ts";
import { ConfigurationError } from "../errors.ts";
import type { Host } from "./host.ts";
import { loadApp } from "./load.ts";

/** The options before the command, or what the environment says in their place. */
export interface Globals {
  readonly app: string | undefined;
  readonly broker: string | undefined;
  readonly resultBackend: string | undefined;
  /** False: no colour, whatever the terminal can do. */
  readonly colour: boolean;
  readonly quiet: boolean;
}

/** What is closed at the end of a command. */
export interface FoundApp extends AsyncDisposable {
  readonly app: Celery;
}

/**
 * The app of `-A`, with the broker and backend of the command line in place of its own; without `-A` an app that has nothing else.
 * `include` names modules to load for their tasks.
 *
 * @throws ConfigurationError as `loadApp`, and "two-copies", "app-missing".
 */
export async function findApp(
  globals: Globals,
  host: Host,
  include: readonly string[] = [],
): Promise<FoundApp> {
  const { broker, resultBackend } = globals;
  const given: CeleryOptions = {
    ...(broker === undefined ? {} : { broker }),
    ...(resultBackend === undefined ? {} : { backend: resultBackend }),
  };
  const changed = Object.keys(given).length > 0;
  if (globals.app === undefined) {
    if (!changed) throw noApp();
    return found(new Celery("celeriac", { ...given, transports }));
  }
  const app = await loadApp(globals.app, include, { folder: host.cwd(), stripsTypes: host.stripsTypes });
  // An app of another copy would be half understood.
  innerOf(app);
  return changed ? found(app.fork({ ...given, transports }), app) : found(app);
}

/** Commander's word for a wrong command line would say nothing of the environment. */
function noApp(): ConfigurationError {
  return new ConfigurationError("app-missing", "No app was named.", {
    hint: "Put -A before the command: celeriac -A ./run.ts worker.",
  });
}

/** A fork leaves its origin open. */
function found(app: Celery, ...origins: readonly Celery[]): FoundApp {
  return {
    app,
    async [Symbol.asyncDispose]() {
      await app.close();
      for (const origin of origins) await origin.close();
    },
  };
}
