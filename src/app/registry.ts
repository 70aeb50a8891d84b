/**
 * The tasks of an app and of its forks, by name.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import type { Declaration } from "./declaration.ts";
import type { AppInner } from "./inner.ts";
import type { IncludeLoader } from "./settings.ts";

/** What was declared, and which modules were loaded for it. */
export class Registry {
  /** Says who sends, where a fork may stand in for its origin: a test's. It is given what the async context holds. */
  standIn: ((scope: { readonly app: AppInner } | undefined) => AppInner | undefined) | undefined;
  readonly tasks: Map<string, Declaration> = new Map();
  readonly #loaded = new Map<IncludeLoader, Promise<unknown>>();

  /** Throws `ConfigurationError` "task-duplicate": one name is one task. */
  add(declaration: Declaration): void {
    if (this.tasks.has(declaration.name)) {
      throw new ConfigurationError("task-duplicate", `Task ${declaration.name} is declared twice.`, {
        hint: "One name is one task: rename one of them, and declare tasks once, at the top of a module.",
      });
    }
    this.tasks.set(declaration.name, declaration);
  }

  /** Runs each loader once; one that failed runs again at the next call. */
  async load(loaders: readonly IncludeLoader[]): Promise<void> {
    await Promise.all(loaders.map((loader) => this.#load(loader)));
  }

  #load(loader: IncludeLoader): Promise<unknown> {
    const known = this.#loaded.get(loader);
    if (known !== undefined) return known;
    const loading = (async () => await loader())();
    this.#loaded.set(loader, loading);
    loading.catch(() => this.#loaded.delete(loader));
    return loading;
  }
}
