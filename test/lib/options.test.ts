import { describe, expect, test } from "vitest";
import { memoryBackend, memoryBroker } from "../../adapters/memory/mod.ts";
import { consoleLogger } from "../../src/lib/console-logger.ts";
import { checkOptionNames } from "../../src/lib/options.ts";
import { Celery } from "../../src/app/app.ts";

describe("option names", () => {
  test("known ones pass", () => {
    expect(() => checkOptionNames("it", { timeout: 1 }, ["timeout"])).not.toThrow();
  });

  test("an unknown one names the one that was probably meant", () => {
    expect(() => checkOptionNames("it", { timout: 1 }, ["timeout", "signal"])).toThrow(
      expect.objectContaining({
        code: "option-unknown",
        message: 'it has no option "timout". Did you mean "timeout"?',
      }),
    );
  });

  test("one that is near to nothing gets the list", () => {
    expect(() => checkOptionNames("it", { x: 1 }, ["timeout", "signal"])).toThrow(/It has timeout, signal\./);
  });

  test.each([[null], [5], ["text"]])("%j is no options", (options) => {
    expect(() => checkOptionNames("it", options, [])).toThrow(
      expect.objectContaining({ code: "option-invalid" }),
    );
  });

  test("the memory pair, get() and consoleLogger refuse what they do not know", async () => {
    const unknown = expect.objectContaining({ code: "option-unknown" });
    expect(() => memoryBroker({ wrold: 1 } as object)).toThrow(unknown);
    expect(() => memoryBackend({ platfrom: 1 } as object)).toThrow(unknown);
    expect(() => consoleLogger({ levl: "info" } as object)).toThrow(unknown);
    const app = new Celery("t", { broker: memoryBroker(), backend: memoryBackend() });
    await expect(app.result("id").get({ timout: 1 } as object)).rejects.toEqual(unknown);
  });
});
