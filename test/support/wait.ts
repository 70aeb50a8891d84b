/** Waiting for a condition instead of for an amount of time. */
export { pause, until } from "../../src/testing/wait.ts";
export type { UntilOptions } from "../../src/testing/wait.ts";
