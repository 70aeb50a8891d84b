import { describe, expect, test } from "vitest";
import { memoryBroker } from "../../adapters/memory/mod.ts";
import { Celery } from "../../src/app/app.ts";
import { Worker } from "../../src/worker/worker.ts";

const app = (): Celery => new Celery("slips", { broker: memoryBroker() });

describe("a slip that types would have caught is a coded error", () => {
  test.each<[string, string, () => unknown]>([
    ["settings that are null", "option-invalid", () => app().configFromObject(null as never)],
    [
      "settings by the name of a module",
      "option-invalid",
      () => app().configFromObject("celeryconfig" as never),
    ],
    ["transports that are none", "option-invalid", () => new Celery("slips", { transports: {} as never })],
    [
      "a worker's hostname that is no text",
      "option-invalid",
      () => new Worker(app(), { hostname: 5 as never }),
    ],
  ])("%s: %s", (_what, code, slip) => {
    expect(slip).toThrow(expect.objectContaining({ code }));
  });

  test.each([["foo"], [5], [null], [[null]]])("a link that is %j", async (link) => {
    await expect(app().sendTask("t", { link: link as never })).rejects.toMatchObject({
      code: "signature-invalid",
    });
  });
});
