/** Claims and leases as properties: whatever consumers do, and die of, each message is in one place. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Python, startPython } from "../../support/python.ts";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { leaseProperty } from "./lease-property.ts";

let server: PrivateServer;
let python: Python;

beforeAll(async () => {
  [server, python] = await Promise.all([startRedis(), startPython("kombu_steps.py")]);
});

afterAll(async () => {
  await python?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** A failure tells both. */
const { LEASE_SEED: seed = "3", LEASE_PATH: path } = process.env;
const replay = { seed: Number(seed), ...(path === undefined ? {} : { path }) };

test("P15: consumers that claim, renew, settle, sweep and die leave each message in one place", async () => {
  const { cover, steps } = await leaseProperty({ url: server.url, runs: 50, ...replay });
  console.log(`${cover}; ${steps} steps`);
  expect(cover.missing).toEqual([]);
}, 120_000);

test("P16: so they do beside consumers of kombu; what kombu loses is in its own window", async () => {
  const { cover, lostByKombu, steps } = await leaseProperty({ url: server.url, runs: 40, ...replay, python });
  console.log(`${cover}; ${steps} steps; ${lostByKombu} messages lost by kombu`);
  expect(cover.missing).toEqual([]);
}, 120_000);
