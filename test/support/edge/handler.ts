/**
 * The requests that the edge functions of the tests answer; the app stands at the top of a module, as in a real one.
 *
 * @module
 */
import type { AsyncResult } from "../../../src/result/async-result.ts";

/** What a module-level app can do. */
export interface Edge {
  /** Publishes tasks, side by side, and gives their ids. */
  send(count: number): Promise<string[]>;
  /** Publishes a compressed task. */
  compressed(): Promise<unknown>;
  /** Ends what it holds. */
  close(): Promise<void>;
  /** The handle of a result. */
  result?(id: string): AsyncResult;
}

/** Milliseconds inside the function, and what came of it. */
export interface Answer {
  readonly ms: number;
  readonly ids?: readonly string[];
  readonly value?: unknown;
  readonly states?: readonly string[];
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
}

/** `/nothing`, `/send/<count>`, `/compressed`, `/get/<id>`, `/glance/<id>` (a short get), `/watch/<id>`, `/close`. */
export function edge(app: Edge): { fetch(request: Request): Promise<Response> } {
  return {
    async fetch(request) {
      const [, verb = "", what = ""] = new URL(request.url).pathname.split("/");
      const begin = performance.now();
      try {
        const answer = await ANSWERS[verb]?.(app, what);
        return Response.json({ ...answer, ms: performance.now() - begin });
      } catch (error) {
        const { name, message } = error as Error;
        const { code } = error as { code?: string };
        return Response.json({ error: { name, message, code }, ms: performance.now() - begin }, {
          status: 500,
        });
      }
    },
  };
}

const ANSWERS: Readonly<Record<string, (app: Edge, what: string) => Promise<Partial<Answer>>>> = {
  nothing: () => Promise.resolve({}),
  send: async (app, count) => ({ ids: await app.send(Number(count)) }),
  compressed: async (app) => ({ value: await app.compressed() }),
  close: async (app) => ({ value: await app.close() }),
  get: async (app, id) => ({ value: await app.result?.(id).get({ timeout: 15 }) }),
  glance: async (app, id) => ({ value: await app.result?.(id).get({ timeout: 0.5 }) }),
  async watch(app, id) {
    const states: string[] = [];
    for await (const { state } of app.result?.(id) ?? []) states.push(state);
    return { states };
  },
};
