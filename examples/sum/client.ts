/**
 * Serves the Hono client on 127.0.0.1:8000 (`PORT`): `npm run sum:client`.
 *
 * @module
 */
import { serve } from "@hono/node-server";
import { Celery } from "celeriac";
import { transports } from "celeriac/url";
import process from "node:process";
import config from "./celeryconfig.ts";
import { sumClient } from "./http.ts";

const app = new Celery("sum client", { transports });
app.configFromObject(config);

const server = serve(
  { fetch: sumClient(app).fetch, hostname: "127.0.0.1", port: Number(process.env["PORT"] ?? 8000) },
  ({ port }) => console.log(`Listening on http://127.0.0.1:${port}`),
);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close();
    void app.close();
  });
}
