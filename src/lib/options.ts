/**
 * Unknown options are errors, with the names that exist.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import { didYouMean } from "./suggest.ts";

/**
 * Throws `ConfigurationError` "option-unknown" for a name that is not in `known`, "option-invalid" for what is no object. For senders whose
 * size counts: it suggests nothing by itself.
 */
export function checkNames(
  owner: string,
  options: unknown,
  known: readonly string[],
  hint?: string,
): void {
  if (Object(options) !== options) {
    throw new ConfigurationError("option-invalid", `${owner} takes an object.`);
  }
  for (const name of Object.keys(options as object)) {
    if (!known.includes(name)) {
      throw new ConfigurationError("option-unknown", `${owner} has no option "${name}".`, {
        hint: hint ?? `It has ${known.join(", ")}.`,
      });
    }
  }
}

/** As {@link checkNames}, with the name that was probably meant. */
export function checkOptionNames(owner: string, options: unknown, known: readonly string[]): void {
  const met = Object.keys(Object(options)).find((name) => !known.includes(name));
  checkNames(owner, options, known, met === undefined ? met : didYouMean(met, known));
}

/** By name, absent and undefined are the same. */
export function defined<T extends object>(fields: T): T {
  return Object.values(fields).includes(undefined)
    ? Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
    : fields;
}
