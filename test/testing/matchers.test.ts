import { expect, test } from "vitest";
import { createHarness, type HarnessMatchers, harnessMatchers } from "../../src/testing/mod.ts";
import { shop } from "./harness/setup.ts";

declare module "vitest" {
  interface Matchers<T> extends HarnessMatchers {}
}

expect.extend(harnessMatchers);

function failure(look: () => unknown): Error & { readonly actual?: unknown; readonly expected?: unknown } {
  try {
    look();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

test("what is so passes, what is not so passes behind not", async () => {
  const { app, add, mail, fail } = shop();
  await using harness = await createHarness(app);
  const result = await add.applyAsync([1, 2], { countdown: "1m" });
  await fail.delay();
  expect(harness).toHaveEnqueued(add);
  expect(harness).toHaveEnqueued(add, { args: [1, 2], countdown: 60 });
  expect(harness).toHaveEnqueued("shop.add", { args: [expect.any(Number), 2] });
  expect(harness).not.toHaveEnqueued(add, { args: [2, 1] });
  expect(harness).not.toHaveEnqueued(mail);
  expect(harness).not.toHaveSucceeded(add);
  await harness.advance("1m");
  expect(harness).toHaveSucceeded(add);
  expect(harness).toHaveSucceeded(result);
  expect(harness).toHaveSucceeded(result.id);
  expect(harness).not.toHaveSucceeded(fail);
});

test("a failure has the harness's message, and both sides for the runner's own diff", async () => {
  const { app, add, fail } = shop();
  await using harness = await createHarness(app, { seed: 5 });
  const { id } = await add.delay(1, 2);
  const failed = await fail.delay();
  await harness.drain();
  const missing = failure(() => expect(harness).toHaveEnqueued(add, { args: [1, 3] }));
  expect(missing.message).toContain(
    `The nearest is ${id}, sent by client:\n  args: at [1]: expected 3, got 2`,
  );
  expect(missing.message).toContain("Replay: createHarness(app, { seed: 5 })");
  expect([missing.actual, missing.expected]).toEqual([{ args: [1, 2] }, { args: [1, 3] }]);
  expect(failure(() => expect(harness).not.toHaveEnqueued(add)).message).toMatch(
    /^1 task shop\.add was enqueued:\n {2}shop\.add\(1, 2\)/,
  );
  expect(failure(() => expect(harness).toHaveSucceeded(failed)).message).toContain(
    "FAILURE, RangeError: out of stock",
  );
  expect(failure(() => expect(harness).not.toHaveSucceeded(add)).message).toMatch(/^It has succeeded:/);
});

test("what is no harness, and a match that cannot be, are errors behind not, too", async () => {
  const { app, add } = shop();
  await using harness = await createHarness(app);
  await add.delay(1, 2);
  for (const nothing of [undefined, null, app, "x"]) {
    const taken = /takes a harness of createHarness/;
    expect(() => expect(nothing).toHaveEnqueued(add)).toThrow(taken);
    expect(() => expect(nothing).not.toHaveSucceeded(add)).toThrow(taken);
  }
  expect(() => expect(harness).not.toHaveEnqueued(add, { arg: [1] } as object)).toThrow(
    expect.objectContaining({ code: "option-unknown" }),
  );
});

test("a matcher that passes behind not does not silence what the test leaves behind", async () => {
  const { app, add } = shop();
  const leaking = async (): Promise<void> => {
    await using harness = await createHarness(app);
    expect(harness).not.toHaveEnqueued(add);
    expect(harness).not.toHaveSucceeded(add);
    void add.delay(1, 2);
  };
  await expect(leaking()).rejects.toThrow("a send that nobody awaited");
});
