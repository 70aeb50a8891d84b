import { expect, inject, test } from "vitest";
import { systemPlatform } from "../../src/lib/platform.ts";

test("the runtime is the one that the run names, and the host facts say so", () => {
  const named = inject("runtime");
  expect(systemPlatform.host.runtime).toBe(named);
  const agent = typeof navigator === "undefined" ? "" : navigator.userAgent;
  expect(agent === "Cloudflare-Workers").toBe(named === "workerd");
});
