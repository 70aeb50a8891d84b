/**
 * Upstash's REST protocol over a Redis of your own: what `@upstash/redis` and `celeriac/upstash` speak, answered by any server that takes
 * a `fetch` handler.
 *
 * ```ts
 * import { serve } from "@hono/node-server";
 *
 * const gateway = createGateway({ redis: "redis://127.0.0.1:6379/0", token: process.env.TOKEN });
 * serve({ fetch: gateway.fetch, port: 8079 });
 * process.once("SIGTERM", () => void gateway.close());
 * ```
 *
 * On Bun `Bun.serve(gateway)`, on Deno `Deno.serve(gateway.fetch)`. Put TLS before it: the token travels in each request.
 *
 * @module
 */
import { Hono } from "hono";
import { Desk } from "./desk.ts";
import { type GatewayOptions, readOptions } from "./options.ts";

export type { GatewayOptions };

/** A gateway; nothing is opened before the first request. */
export interface Gateway extends AsyncDisposable {
  /** Answers a request; never throws. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Ends subscriptions, fails what is under way, lets go of every connection. Idempotent; requests after it get 503. */
  close(): Promise<void>;
}

/**
 * Makes a gateway.
 *
 * It serves `/` (a command as a JSON array), `/<command>/<argument>/…` (a body is appended, then the parameters), `/pipeline`,
 * `/multi-exec`, `/subscribe/<channel>` and `/psubscribe/<pattern>`, by GET, HEAD, POST and PUT, with the token as bearer or in `_token`.
 * Errors are `{"error": "…"}` with 400 (refused by the gateway or by Redis), 401, 405, 502 (Redis cannot be reached, or was lost), 503
 * (closed, or too many subscriptions or transactions) and 504 (no answer within `commandTimeout`). Commands that block, that change the connection or that
 * rule the server are refused.
 *
 * Not served: `/monitor`, replies in RESP2 (`Upstash-Response-Format: resp2`), read-only tokens, and commands that Upstash has and your
 * Redis has not (JSON, Search).
 *
 * @throws {ConfigurationError} `option-unknown`, `option-invalid`, `duration-invalid`, `backend-url-invalid`.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const desk = new Desk(readOptions(options));
  const app = new Hono();
  app.all("*", (context) => desk.answer(context.req.raw));
  return {
    fetch: async (request) => await app.fetch(request),
    close: () => Promise.resolve(desk.close()),
    [Symbol.asyncDispose]: () => Promise.resolve(desk.close()),
  };
}
