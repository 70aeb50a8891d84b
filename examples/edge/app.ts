/**
 * An edge function that publishes tasks and tells their results. The same file is a Cloudflare Worker (`npx wrangler deploy`), a Bun server
 * (`bun app.ts`) and a Deno server (`deno serve -A app.ts`).
 *
 * @module
 */
import { amqpPublisher } from "celeriac/amqp/websocket";
import { CeleriacError, ConfigurationError, Producer, resultOf } from "celeriac/producer";
import { upstashBackend, upstashPublisher } from "celeriac/upstash";
import { Hono } from "hono";
import type { Context } from "hono";
import { env } from "hono/adapter";
// Types only: nothing of a task's body enters the bundle.
import type * as signup from "./signup.ts";

/** What the host gives: bindings and secrets on Cloudflare, the environment elsewhere. */
type Settings = {
  /** The relay before RabbitMQ: `wss://user:password@relay.example/?vhost=/`. */
  readonly RELAY_URL: string;
  /** Redis over HTTP, as Upstash speaks it. */
  readonly REDIS_URL: string;
  /** Its token. */
  readonly REDIS_TOKEN: string;
};

type Host = { Bindings: Settings };

/** A user waits for the answer: better a clear failure than thirty seconds. */
const SENDING = { taskDefaultQueue: "signups", publishTimeout: "5s" } as const;

const api = new Hono<Host>();

/** By RabbitMQ, through a WebSocket relay: a worker in TypeScript (run.ts) or in Python runs it. */
api.post("/amqp/signups/:name", async (c) => {
  const producer = new Producer({ broker: amqpPublisher(setting(c, "RELAY_URL")), ...SENDING });
  return c.json({ id: await welcome(producer, c.req.param("name")) }, 202);
});

/** By Redis, over HTTP: a worker in TypeScript (run.ts) or in Python (signup.py) on that Redis runs it. */
api.post("/redis/signups/:name", async (c) => {
  const producer = new Producer({ broker: upstashPublisher(redis(c)), ...SENDING });
  return c.json({ id: await welcome(producer, c.req.param("name")) }, 202);
});

/** What became of it. An id that nobody knows is PENDING for ever, and who knows an id may read its result. */
api.get("/results/:id", async (c) => {
  const result = resultOf<string>(upstashBackend(redis(c)), c.req.param("id"));
  const state = await result.state();
  if (state === "SUCCESS") {
    return c.json({ id: result.id, state, result: await result.get({ timeout: "5s" }) });
  }
  return c.json({ id: result.id, state }, state === "FAILURE" || state === "REVOKED" ? 200 : 202);
});

api.onError((error, c) => {
  if (!(error instanceof CeleriacError)) throw error;
  console.error(error.code, error.message);
  if (error instanceof ConfigurationError) return c.json({ error: error.code }, 500);
  // Nobody knows whether the task will run: a repeat of the request may run it twice.
  return c.json({ error: error.code }, error.code === "publish-unknown" ? 504 : 503);
});

async function welcome(producer: Producer, name: string): Promise<string> {
  const jobs = producer.tasksOf<typeof signup>();
  const { id } = await jobs("signup.welcome").delay(name);
  return id;
}

function redis(c: Context<Host>): { readonly url: string; readonly token: string } {
  return { url: setting(c, "REDIS_URL"), token: setting(c, "REDIS_TOKEN") };
}

function setting(c: Context<Host>, name: keyof Settings): string {
  const value = { ...env<Settings>(c), ...c.env }[name];
  if (value === undefined) throw new Error(`The setting ${name} is missing.`);
  return value;
}

export default api;
