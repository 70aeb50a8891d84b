/**
 * vitest compiles `await using` for runtimes without it (Node before 24).
 *
 * @module
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
  oxc: { target: "es2022" },
  test: { include: ["vitest.test.ts"] },
});
