/**
 * Unknown options are errors, with the name that was probably meant.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";
import { didYouMean } from "./suggest.ts";

/** Throws `ConfigurationError` "option-unknown" for a name that is not in `known`, "option-invalid" for what is no object. */
export function checkOptionNames(owner: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new ConfigurationError("option-invalid", `The options of ${owner} are an object.`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = didYouMean(name, known) ?? `It has ${known.join(", ")}.`;
    throw new ConfigurationError("option-unknown", `${owner} has no option ${JSON.stringify(name)}.`, {
      hint,
    });
  }
}
