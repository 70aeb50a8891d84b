/**
 * The interface by which schema libraries (Zod, Valibot, ArkType, …) hand out their checks: Standard Schema, version 1
 * (https://standardschema.dev), copied as its authors ask, so that no package is needed.
 *
 * @module
 */

/** A schema of any library that speaks Standard Schema version 1. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  /** What the standard defines. */
  readonly "~standard": StandardSchemaProps<Input, Output>;
}

/** What a schema offers. */
export interface StandardSchemaProps<Input = unknown, Output = Input> {
  /** The standard's version. */
  readonly version: 1;
  /** The library's name. */
  readonly vendor: string;
  /** Checks a value, and may change it. */
  readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
  /** For type inference only. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** The value, or what is wrong with it. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] };

/** One thing that is wrong. */
export interface StandardSchemaIssue {
  /** A sentence. */
  readonly message: string;
  /** Where in the value. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema takes. */
export type SchemaInput<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["input"];

/** What a schema gives. */
export type SchemaOutput<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["output"];
