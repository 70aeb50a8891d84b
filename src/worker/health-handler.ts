/**
 * A worker's health over HTTP.
 *
 * @module
 */
import type { Worker } from "./worker.ts";

/** What serves requests: for `Bun.serve`, `Deno.serve`, a route of Hono, or `@hono/node-server`. */
export interface HealthHandler {
  /** Answers one request; never rejects. */
  fetch(request: Request): Response;
}

/**
 * Answers GET and HEAD, whatever the path: 200 while messages would come, else 503, with the same JSON for both: `hostname`, `state`,
 * `healthy`, `aliveAt` (ISO text or null), `reasons` (`code`, `message`), and how many tasks are `active` and
 * `reserved`. Other methods get 405.
 *
 * Made for a readiness probe or an alert. Not for a liveness probe: while the broker is away no restart helps, and each would end running
 * tasks; where a restart is wanted after all, the worker's option `deadLimit` does it in order. It asks for no credentials: serve it where
 * only those who may know can reach it.
 *
 * @example
 * Deno.serve({ hostname: "127.0.0.1", port: 8080 }, healthHandler(worker).fetch);
 */
export function healthHandler(worker: Pick<Worker, "health" | "hostname" | "snapshot">): HealthHandler {
  return {
    fetch(request) {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
      }
      const { aliveAt, healthy, reasons, state } = worker.health();
      const { active, reserved } = worker.snapshot();
      const body = {
        hostname: worker.hostname,
        state,
        healthy,
        aliveAt: aliveAt === undefined ? null : new Date(aliveAt).toISOString(),
        reasons,
        active: active.length,
        reserved: reserved.length,
      };
      return new Response(request.method === "HEAD" ? null : `${JSON.stringify(body)}\n`, {
        status: healthy ? 200 : 503,
        headers: { "content-type": "application/json", "cache-control": "no-store" },
      });
    },
  };
}
