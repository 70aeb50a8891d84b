/**
 * An app's configuration while it is still being written: the constructor's words, then those of `configFromObject`, until first use.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import type { Logger } from "../lib/logger.ts";
import { didYouMean } from "../lib/suggest.ts";
import { findSetting, snakeCase, unimplementedNames } from "./settings-names.ts";
import { readSetting, readSettings, SETTING_NAMES } from "./settings-table.ts";
import type { Settings } from "./settings.ts";

/** Collects settings by any of their names, and gives them out complete. */
export class Config {
  readonly #logger: Logger;
  /** What the constructor says wins, as in Celery, where it is kept apart as `preconf`. */
  readonly #fixed: Map<string, unknown>;
  readonly #loose: Map<string, unknown>;
  readonly #warned = new Set<string>();
  #read: Settings | undefined;
  #inUse = false;

  constructor(logger: Logger, under?: Config) {
    this.#logger = logger;
    this.#fixed = new Map(under === undefined ? [] : under.#fixed);
    this.#loose = new Map(under === undefined ? [] : under.#loose);
  }

  /** The constructor's settings; `others` are its options that are no settings, for "did you mean". */
  fix(values: Readonly<Record<string, unknown>>, others: readonly string[]): void {
    this.#take(values, this.#fixed, others);
  }

  /** Settings of `configFromObject`. */
  add(values: Readonly<Record<string, unknown>>): void {
    if (this.#inUse) {
      throw new ConfigurationError(
        "settings-in-use",
        "configFromObject comes too late: the app has used its broker or backend already.",
        {
          hint: "Call it before the first task is sent or received.",
        },
      );
    }
    this.#take(exported(values), this.#loose, []);
  }

  /** The settings, complete. */
  get settings(): Settings {
    return this.#read ??= readSettings(new Map([...this.#loose, ...this.#fixed]));
  }

  /** From now on the settings stand. */
  use(): Settings {
    this.#inUse = true;
    return this.settings;
  }

  #take(
    values: Readonly<Record<string, unknown>>,
    into: Map<string, unknown>,
    others: readonly string[],
  ): void {
    const taken = new Map<string, unknown>();
    for (const [key, value] of Object.entries(values)) {
      if (value === undefined) continue;
      const found = findSetting(key, SETTING_NAMES);
      if (found === undefined) throw unknown(key, others);
      if (found.is === "ours") taken.set(found.name, readSetting(found.name, value));
      else this.#warn(found.name);
    }
    for (const [name, value] of taken) into.set(name, value);
    this.#read = undefined;
  }

  #warn(name: string): void {
    if (this.#warned.has(name)) return;
    this.#warned.add(name);
    this.#logger.log("warning", `Celery's setting ${name} has no effect: celeriac does not implement it.`, {
      setting: name,
    });
  }
}

/** A module as settings: its exports, over those of its default export. */
function exported(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (typeof values !== "object" || values === null) {
    throw new ConfigurationError(
      "option-invalid",
      "configFromObject takes an object, or a module of settings.",
    );
  }
  const { default: under, ...named } = values;
  const isModule = Object.prototype.toString.call(values) === "[object Module]";
  return isModule && typeof under === "object" && under !== null ? { ...under, ...named } : values;
}

function unknown(key: string, others: readonly string[]): ConfigurationError {
  const written = others.length > 0 || !key.includes("_") ? SETTING_NAMES : [...SETTING_NAMES].map(snakeCase);
  const hint = didYouMean(key, [...others, ...written, ...unimplementedNames()]) ??
    "Names are Celery's, as they are or in camelCase.";
  return new ConfigurationError(
    "option-unknown",
    `There is no option or setting ${JSON.stringify(key.slice(0, 80))}.`,
    { hint },
  );
}
