/**
 * The worker's app, on RabbitMQ: `npx celeriac -A ./examples/edge/run.ts worker -Q signups`.
 *
 * @module
 */
import { Celery } from "celeriac";
import { transports } from "celeriac/url";
import process from "node:process";

export const app: Celery = new Celery("signup", {
  transports,
  broker: process.env["BROKER_URL"] ?? "amqp://guest:guest@localhost//",
  backend: process.env["RESULT_BACKEND"] ?? "redis://localhost:6379/0",
  include: [() => import("./signup.ts")],
});
