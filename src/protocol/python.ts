/**
 * How the classes of `types.ts` write themselves. Whoever writes asks the value, and so need not know the classes: a bundle holds those
 * that it makes.
 *
 * @module
 */

/** A value of a type that Python has and JavaScript has not. */
export interface PythonValue {
  /** The JSON text; `envelope` gives the text of kombu's envelope around a value. */
  "~json"(envelope: (type: string, value: unknown) => string): string;
  /** The value as Python's `repr` shows it; `float` gives `repr(float)`. */
  "~repr"(float: (value: number) => string): string;
}
