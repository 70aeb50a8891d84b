/**
 * The tasks under test: an order is charged at once, and the customer reminded a day later.
 *
 * @module
 */
import { Celery } from "celeriac";

export const app: Celery = new Celery("shop");

export const remind = app.task(
  "shop.remind",
  { params: ["order"] },
  (order: number) => `reminded of ${order}`,
);

export const charge = app.task(
  "shop.charge",
  { params: ["order", "amount"], acksLate: true },
  async (order: number, amount: number) => {
    if (amount <= 0) throw new RangeError(`nothing to charge for order ${order}`);
    await remind.applyAsync([order], { countdown: "1d" });
    return `charged ${amount}`;
  },
);
