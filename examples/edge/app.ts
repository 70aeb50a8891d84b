/**
 * An edge function that publishes tasks and tells their results. The same file is a Cloudflare Worker (`npx wrangler dev app.ts`), a Bun
 * server (`bun app.ts`) and a Deno server (`deno serve -A app.ts`).
 *
 * @module
 */
import { amqpPublisher } from "celeriac/amqp/websocket";
import { Producer, resultOf } from "celeriac/producer";
import { upstashBackend, upstashPublisher } from "celeriac/upstash";
import { Hono } from "hono";
import type { Context } from "hono";
import { env } from "hono/adapter";
// Types only: nothing of a task's body enters the bundle.
import type * as signup from "./signup.ts";

/** What the host gives: bindings on Cloudflare, the environment elsewhere. */
type Settings = {
  /** The relay before RabbitMQ: `wss://user:password@relay.example/?vhost=/`. */
  readonly RELAY_URL: string;
  /** Redis over HTTP, as Upstash speaks it. */
  readonly REDIS_URL: string;
  /** Its token. */
  readonly REDIS_TOKEN: string;
};

type Host = { Bindings: Settings };

const api = new Hono<Host>();

/** By RabbitMQ, through a WebSocket relay. */
api.post("/amqp/signups/:name", async (c) => {
  const producer = new Producer({
    broker: amqpPublisher(settings(c).RELAY_URL),
    taskDefaultQueue: "signups",
  });
  return c.json({ id: await welcome(producer, c.req.param("name")) }, 202);
});

/** By Redis, over HTTP. */
api.post("/redis/signups/:name", async (c) => {
  const producer = new Producer({ broker: upstashPublisher(redis(c)), taskDefaultQueue: "signups" });
  return c.json({ id: await welcome(producer, c.req.param("name")) }, 202);
});

/** What became of it, from the result backend. */
api.get("/results/:id", async (c) => {
  const result = resultOf<string>(upstashBackend(redis(c)), c.req.param("id"));
  const state = await result.state();
  if (state !== "SUCCESS") return c.json({ id: result.id, state }, 202);
  return c.json({ id: result.id, state, result: await result.get() });
});

async function welcome(producer: Producer, name: string): Promise<string> {
  const jobs = producer.tasksOf<typeof signup>();
  const { id } = await jobs("signup.welcome").delay(name);
  return id;
}

function settings(c: Context<Host>): Settings {
  return { ...env<Settings>(c), ...c.env };
}

function redis(c: Context<Host>): { readonly url: string; readonly token: string } {
  const { REDIS_URL: url, REDIS_TOKEN: token } = settings(c);
  return { url, token };
}

export default api;
