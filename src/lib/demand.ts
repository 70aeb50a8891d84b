/**
 * What an option must be.
 *
 * @module
 */
import { ConfigurationError } from "../errors.ts";

/** Throws `ConfigurationError` "option-invalid" where it is not so: `is` ends the sentence "queue must be …". The value is not shown: it may be a URL. */
export function demand(so: boolean, name: string, is: string): asserts so {
  if (!so) throw new ConfigurationError("option-invalid", `${name} must be ${is}.`);
}

/** Demands a text that is not empty, where there is anything. */
export function demandText(value: unknown, name: string): void {
  demand(
    value === undefined || (typeof value === "string" && value !== ""),
    name,
    "a text that is not empty",
  );
}
