/**
 * The same file inside workerd, Cloudflare's runtime.
 *
 * @module
 */
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

export default defineConfig({
  oxc: { target: "es2022" },
  plugins: [
    cloudflareTest({
      miniflare: { compatibilityDate: "2026-04-01", compatibilityFlags: ["nodejs_compat"] },
    }),
  ],
  test: { include: ["vitest.test.ts"] },
});
