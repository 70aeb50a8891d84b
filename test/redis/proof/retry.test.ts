/** Publishing over HTTP as a property: requests are repeated and answers lost at random. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { retryProperty } from "./retry-property.ts";

let server: PrivateServer;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(() => server?.[Symbol.asyncDispose]());

test(
  "P17: each publish over HTTP stands there once, though any request is repeated and any answer lost",
  async () => {
    const cover = await retryProperty({ url: server.url, runs: 40, seed: 20_261_130 });
    console.log(String(cover));
    expect(cover.missing).toEqual([]);
  },
  120_000,
);
