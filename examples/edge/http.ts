import { Producer } from "celeriac/producer";
import { upstashPublisher } from "celeriac/upstash";
import { Hono } from "hono";
import type * as signup from "./signup.ts";

const api = new Hono<{ Bindings: { URL: string; TOKEN: string } }>();
api.post("/signups/:name", async (c) => {
  const producer = new Producer({ broker: upstashPublisher({ url: c.env.URL, token: c.env.TOKEN }) });
  const { id } = await producer.tasksOf<typeof signup>()("signup.welcome").delay(c.req.param("name"));
  return c.json({ id }, 202);
});
export default api;
