/**
 * An app whose tasks a harness runs.
 *
 * @module
 */
import { Celery, type CeleryOptions } from "../../../mod.ts";
import { type Deferred, deferred } from "../../../src/lib/deferred.ts";
import { AssertionError } from "../../../src/testing/mod.ts";

/** What a body says of its run. */
export interface Ran {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly worker: string;
}

/** A shop with tasks of all kinds, none of which has a broker. */
export function shop(options: CeleryOptions = {}) {
  const app = new Celery("shop", options);
  const runs: Ran[] = [];
  /** What `slow` waits for: something outside, as far as a harness can tell. */
  const gate: Deferred<void> = deferred<void>();
  const add = app.task(
    "shop.add",
    { bind: true, params: ["x", "y"] },
    (task, x: number, y: number): number => {
      runs.push({ task: task.name, args: [x, y], worker: task.hostname });
      return x + y;
    },
  );
  const mail = app.task(
    "shop.mail",
    { bind: true, params: ["to"], queue: "mails" },
    (task, to: string): string => {
      runs.push({ task: task.name, args: [to], worker: task.hostname });
      return `sent to ${to}`;
    },
  );
  const fail = app.task("shop.fail", (): never => {
    throw new RangeError("out of stock");
  });
  const slow = app.task("shop.slow", async (): Promise<string> => {
    await gate.promise;
    return "at last";
  });
  /** Sends a mail in the plain way, as a child. */
  const order = app.task("shop.order", { params: ["to"] }, async (to: string): Promise<string> => {
    const { id } = await mail.delay(to);
    return id;
  });
  const echo = app.task("shop.echo", { params: ["value"] }, (value: unknown): unknown => value);
  return { app, runs, gate, add, mail, fail, slow, order, echo };
}

/** The assertion that fails when this is called. */
export function failure(look: () => unknown): AssertionError {
  try {
    look();
  } catch (error) {
    if (error instanceof AssertionError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
