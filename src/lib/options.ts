/**
 * Unknown options are errors, with the names that exist.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import { didYouMean } from "./suggest.ts";

/** What the hint says instead of all names, where it knows better. */
type Suggest = (met: string, known: readonly string[]) => string | undefined;

/**
 * Throws `ConfigurationError` "option-unknown" for a name that is not in `known`, "option-invalid" for what is no object. For senders whose
 * size counts: it suggests nothing by itself.
 */
export function checkNames(
  owner: string,
  options: unknown,
  known: readonly string[],
  suggest?: Suggest,
): void {
  if (typeof options !== "object" || options === null) {
    throw new ConfigurationError("option-invalid", `The options of ${owner} are an object.`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ConfigurationError("option-unknown", `${owner} has no option ${JSON.stringify(name)}.`, {
        hint: suggest?.(name, known) ?? `It has ${known.join(", ")}.`,
      });
    }
  }
}

/** As {@link checkNames}, with the name that was probably meant. */
export function checkOptionNames(owner: string, options: unknown, known: readonly string[]): void {
  checkNames(owner, options, known, didYouMean);
}

/** By name, absent and undefined are the same. */
export function defined<T extends object>(fields: T): T {
  return Object.values(fields).includes(undefined)
    ? Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
    : fields;
}
