/**
 * Test rooms that look at the repository, not at the code in a runtime: they run once, on Node.
 *
 * @module
 */

/** @type {readonly string[]} */
export const ONCE = ["test/house", "test/packaging"];
