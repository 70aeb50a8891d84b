/**
 * The task: adds two numbers.
 *
 * @module
 */
import { app } from "../run.ts";

export const consumeTask = app.task(
  "tasks.sum.consume_task",
  { params: ["a", "b"] },
  (a: number, b: number): number => a + b,
);
