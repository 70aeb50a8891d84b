/**
 * The tasks, for the worker. The edge function knows their types only.
 *
 * @module
 */
import { hostname } from "node:os";
import { app } from "./run.ts";

export const welcome = app.task("signup.welcome", { params: ["name"] }, (name: string): string => {
  console.log(`${hostname()} welcomes ${name}`);
  return `Welcome, ${name}`;
});
