import { afterAll, beforeAll, expect, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { Celery } from "../../src/app/app.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RabbitServer, startRabbit } from "../support/servers.ts";

const COUNT = 1000;

let rabbit: RabbitServer;
let proxy: Proxy;

beforeAll(async () => {
  rabbit = await startRabbit();
  const { hostname, port } = new URL(rabbit.url);
  proxy = await startProxy({ host: hostname, port: Number(port) });
}, 150_000);

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await rabbit[Symbol.asyncDispose]();
}, 60_000);

function setup() {
  const broker = amqpBroker(`amqp://guest:guest@127.0.0.1:${proxy.port}//`);
  const app = new Celery("thousand", { broker, publishTimeout: 5 });
  const add = app.task("t.add", (x: number, y: number) => x + y);
  return { app, broker, thousand: () => Array.from({ length: COUNT }, (_, at) => add.delay(at, at)), add };
}

test("1,000 concurrent delay() take fewer than 20 round trips, connecting and declaring included", async () => {
  const { app, broker, thousand } = setup();
  const results = await Promise.all(thousand());
  console.log(`1,000 delay(): ${proxy.roundTrips} round trips`);
  expect(new Set(results.map(({ id }) => id)).size).toBe(COUNT);
  expect(proxy.roundTrips).toBeLessThan(20);
  expect(await broker.count("celery")).toBe(COUNT);
  await app.close();
});

test("none of 1,000 concurrent delay() resolves when the broker is killed first", async () => {
  const { app, add, thousand } = setup();
  await add.delay(0, 0);
  // Frozen, so that it takes the bytes and answers nothing.
  await rabbit.pause();
  const sent = Promise.allSettled(thousand());
  await rabbit.kill9();
  const outcomes = await sent;
  await app.close();
  expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: COUNT }, () => "rejected"));
  const codes = outcomes.map((each) => each.status === "rejected" && (each.reason as { code?: string }).code);
  expect(new Set(codes)).toEqual(new Set(["publish-unknown"]));
}, 30_000);
