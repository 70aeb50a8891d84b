/**
 * A module of tasks, of which `app.ts` imports the type alone.
 *
 * @module
 */
import { Celery } from "../../mod.ts";

const app = new Celery("types");

export const add = app.task("t.add", { params: ["x", "y"] }, (x: number, y: number) => x + y);
export const length = app.task("t.length", async (text: string) => await Promise.resolve(text.length));
export const notATask = 5;
