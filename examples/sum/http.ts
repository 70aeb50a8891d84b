/**
 * The Hono client: publishes over HTTP and tells the result. It sends by name and knows no task body.
 *
 * @module
 */
import type { Celery } from "celeriac";
import { Hono } from "hono";

const oneToHundred = (): number => 1 + Math.floor(Math.random() * 100);

/** Serves `GET /publish` and `GET /result/:id` for `app`. The id of what was published is in the header `x-task-id`. */
export function sumClient(app: Celery): Hono {
  const http = new Hono();

  http.get("/publish", async (c) => {
    const [a, b] = [oneToHundred(), oneToHundred()];
    const { id } = await app.sendTask("tasks.sum.consume_task", { kwargs: { a, b }, queue: "sum-queue" });
    c.header("x-task-id", id);
    return c.text(`a=${a}, b=${b} Published to the queue`);
  });

  http.get("/result/:id", async (c) => {
    const result = app.result<number>(c.req.param("id"));
    const state = await result.state();
    if (state === "SUCCESS") return c.json({ id: result.id, state, result: await result.get() });
    return c.json({ id: result.id, state }, state === "FAILURE" || state === "REVOKED" ? 200 : 202);
  });

  return http;
}
