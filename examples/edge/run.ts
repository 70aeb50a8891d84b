/**
 * The worker's app: `npx celeriac -A ./examples/edge/run.ts worker -Q signups`. On RabbitMQ for what goes by `/amqp`, or with
 * `BROKER_URL=redis://…` on the Redis behind the REST server for what goes by `/redis`.
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
