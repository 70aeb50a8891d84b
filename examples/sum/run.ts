/**
 * The worker's app: `npx celeriac -A ./examples/sum/run.ts worker -Q sum-queue --hostname worker@%h -c 4 --loglevel=info`.
 *
 * @module
 */
import { Celery } from "celeriac";
import { transports } from "celeriac/url";
import config from "./celeryconfig.ts";

export const app: Celery = new Celery("Celery Worker", {
  transports,
  include: [() => import("./tasks/sum.ts")],
});
app.configFromObject(config);
