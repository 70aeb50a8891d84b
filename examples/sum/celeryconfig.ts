/**
 * The configuration module, as a `celeryconfig.py` would have it: Celery's own names, the URLs from the environment where they are set.
 *
 * @module
 */
import process from "node:process";

export default {
  broker_url: process.env["BROKER_URL"] ?? "amqp://guest:guest@localhost//",
  result_backend: process.env["RESULT_BACKEND"] ?? "redis://localhost:6379/0",
  task_serializer: "json",
  accept_content: ["json"],
  result_serializer: "json",
  enable_utc: true,
  timezone: "UTC",
  broker_connection_retry_on_startup: true,
};
