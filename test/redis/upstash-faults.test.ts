/**
 * A server that is silent, closes, loses answers or answers nonsense: each publish settles by its deadline with the right verdict, a hundred
 * times each, and no message is doubled.
 */
import { inspect } from "node:util";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { upstashBroker, upstashPublisher } from "../../adapters/redis/http.ts";
import type { Verdict } from "../../src/broker.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { until } from "../support/wait.ts";
import { startRedis } from "../support/servers.ts";
import { countingPlatform, failure, outgoing, PAYLOAD, shown, TOKEN } from "./http-setup.ts";
import { bareClient } from "./setup.ts";
import { often } from "../support/thorough.ts";

/** A hundred on Node. */
const TIMES = often(100);

const redis = bareClient();
const globalKeyprefix = `faults-${crypto.randomUUID()}.`;
let gateway: PrivateGateway;

beforeAll(async () => {
  gateway = await startGateway({ redis: inject("redis"), token: TOKEN });
});

afterEach(() => gateway.faults.heal());

afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  const keys = await redis.keys(`${globalKeyprefix}*`);
  if (keys.length > 0) await redis.del(...keys);
  await redis[Symbol.asyncDispose]();
});

interface Run {
  readonly queue: string;
  readonly verdicts: readonly Verdict[];
  /** How long the slowest took beyond its deadline, ms. */
  readonly beyond: number;
  readonly waiting: number;
}

function clean(run: Run): void {
  expect(run.waiting).toBe(0);
  const text = inspect(run.verdicts, { depth: 5 });
  expect(text).not.toContain(TOKEN);
  expect(text).not.toContain(PAYLOAD);
}

const stored = (queue: string): Promise<number> => redis.llen(globalKeyprefix + queue);

const every = (is: Verdict["is"]): Verdict["is"][] => Array.from({ length: TIMES }, () => is);

/** Declares something, so that there is a request. */
const BINDING = { kind: "binding", exchange: "loading", queue: "q", routingKey: "" } as const;

const MAKERS: [string, typeof upstashPublisher][] = [
  ["upstashBroker", upstashBroker],
  ["upstashPublisher", upstashPublisher],
];

describe.each(MAKERS)("%s", (_name, make) => {
  /** A hundred publishes at once, each with its own deadline, once `fault` is set. */
  async function publishes(ms: number, fault: () => void): Promise<Run> {
    const { platform, waiting } = countingPlatform();
    const broker = make({ url: gateway.url, token: TOKEN, globalKeyprefix, platform });
    // So that loading the client takes nothing of the first deadline.
    await broker.publish([], { declare: [BINDING] });
    fault();
    const queue = crypto.randomUUID();
    let beyond = -Infinity;
    const verdicts = await Promise.all(Array.from({ length: TIMES }, async () => {
      const deadline = Date.now() + ms;
      const [verdict] = await broker.publish([outgoing(queue)], { deadline });
      beyond = Math.max(beyond, Date.now() - deadline);
      return verdict as Verdict;
    }));
    return { queue, verdicts, beyond, waiting: waiting.size };
  }

  describe("the answer is lost, the message is not doubled", () => {
    test.each(["dropResponse", "cutResponse"] as const)("%s, a hundred times", async (fault) => {
      // The second request of each is answered.
      const run = await publishes(20_000, () => gateway.faults[fault](TIMES));
      expect(run.verdicts.map(({ is }) => is)).toEqual(every("confirmed"));
      expect(await stored(run.queue)).toBe(TIMES);
      clean(run);
    });

    test("swallowResponse, a hundred times: a silent server is asked again before the deadline", async () => {
      const run = await publishes(16_000, () => gateway.faults.swallowResponse(TIMES));
      expect(run.verdicts.map(({ is }) => is)).toEqual(every("confirmed"));
      expect(await stored(run.queue)).toBe(TIMES);
      clean(run);
    });

    test("a batch whose answer is lost is there once, and tells each verdict", async () => {
      const broker = make({ url: gateway.url, token: TOKEN, globalKeyprefix });
      const queue = crypto.randomUUID();
      gateway.faults.dropResponse(2);
      const nowhere = { ...outgoing(queue), to: { exchange: `none-${queue}`, routingKey: "key" } };
      const verdicts = await broker.publish([outgoing(queue), nowhere, outgoing(queue)]);
      expect(verdicts.map(({ is }) => is)).toEqual(["confirmed", "unroutable", "confirmed"]);
      expect(await stored(queue)).toBe(2);
    });

    test("where every answer is lost until the deadline, nobody knows, and the message is there once", async () => {
      const run = await publishes(1500, () => gateway.faults.dropResponse(Infinity));
      expect(run.verdicts.map(({ is }) => is)).toEqual(every("unknown"));
      expect(run.beyond).toBeLessThan(2000);
      expect(await stored(run.queue)).toBe(TIMES);
      clean(run);
    });
  });

  describe("nothing is executed", () => {
    test("a silent server: unknown at the deadline, and nothing is left", async () => {
      const run = await publishes(800, () => gateway.faults.silent(Infinity));
      expect(run.verdicts.map(({ is }) => is)).toEqual(every("unknown"));
      expect(run.beyond).toBeLessThan(2000);
      expect(await stored(run.queue)).toBe(0);
      clean(run);
    });

    test("a server that closes each connection: unknown at the deadline", async () => {
      const run = await publishes(800, () => gateway.faults.closeBefore(Infinity));
      expect(run.verdicts.map(({ is }) => is)).toEqual(every("unknown"));
      expect(run.beyond).toBeLessThan(2000);
      expect(await stored(run.queue)).toBe(0);
      clean(run);
    });

    test("a server that closes connections for a while: confirmed, once", async () => {
      const run = await publishes(20_000, () => gateway.faults.closeBefore(TIMES));
      expect(run.verdicts.map(({ is }) => is)).toEqual(every("confirmed"));
      expect(await stored(run.queue)).toBe(TIMES);
      clean(run);
    });

    const html = (title: string): string =>
      `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body>${PAYLOAD} ${TOKEN}</body></html>`;
    const json = (error: string): string => JSON.stringify({ error });

    // What the answer says for certain, and what it leaves open.
    test.each<[string, number, string, Verdict["is"], boolean?]>([
      ["500 in JSON", 500, json("Internal Server Error"), "unknown"],
      ["502 of a gateway", 502, json("ERR the gateway lost its Redis"), "unknown"],
      ["503 in HTML", 503, html("503 Service Temporarily Unavailable"), "unknown"],
      ["200 in HTML", 200, html("Welcome"), "unknown"],
      ["200 with nothing", 200, "", "unknown"],
      ["200 with half a JSON", 200, '{"result": ', "unknown"],
      ["200 with another JSON", 200, '["a", {"b": 1}, null]', "unknown"],
      ["200 with null", 200, "null", "unknown"],
      ["200 with no verdict", 200, '{"result": "PONG"}', "unknown"],
      ["200 with a number too many", 200, '{"result": "1\\n1"}', "unknown"],
      ["200 with a huge body", 200, "x".repeat(200_000), "unknown"],
      ["429 in JSON", 429, json("Too Many Requests"), "refused", true],
      ["429 in HTML", 429, html("429 Too Many Requests"), "refused", true],
      [
        "400 over the plan's limit",
        400,
        json("ERR max daily request limit exceeded. Limit: 10000"),
        "refused",
        true,
      ],
      [
        "400 out of memory",
        400,
        json("OOM command not allowed when used memory > 'maxmemory'."),
        "refused",
        true,
      ],
      ["400 too large", 400, json("ERR max request size exceeded. Limit: 1048576 bytes"), "refused"],
      [
        "400 of a command",
        400,
        json("ERR unknown command 'EVAL', with args beginning with: 'x'"),
        "refused",
        false,
      ],
      ["401 in JSON", 401, json("WRONGPASS invalid or missing auth token"), "refused", false],
      ["401 without a code", 401, json("Unauthorized"), "refused", false],
      ["403 in HTML", 403, html("403 Forbidden"), "refused", false],
      [
        "NOPERM",
        400,
        json("NOPERM this user has no permissions to run the 'eval' command"),
        "refused",
        false,
      ],
    ])("%s", async (_what, status, body, is, retry) => {
      const run = await publishes(
        is === "unknown" ? 800 : 20_000,
        () => gateway.faults.status(status, body, Infinity),
      );
      expect(run.verdicts.map((verdict) => verdict.is)).toEqual(every(is));
      expect(run.beyond).toBeLessThan(2000);
      if (retry !== undefined) expect(run.verdicts[0]).toMatchObject({ retry });
      expect(await stored(run.queue)).toBe(0);
      clean(run);
    });

    // Deno sends a request again by itself, so that there nothing is certain.
    const inDeno = "Deno" in globalThis;
    test(`no server: ${inDeno ? "unknown" : "refused at once, and may be repeated"}`, async () => {
      const gone = await startGateway({ redis: inject("redis") });
      const { url } = gone;
      await gone[Symbol.asyncDispose]();
      const broker = make({ url, token: TOKEN });
      const begun = performance.now();
      const deadline = Date.now() + (inDeno ? 800 : 20_000);
      const verdicts = await Promise.all(
        Array.from({ length: TIMES }, () => broker.publish([outgoing("q")], { deadline })),
      );
      expect(verdicts.flat().map(({ is }) => is)).toEqual(every(inDeno ? "unknown" : "refused"));
      if (!inDeno) expect(verdicts[0]).toMatchObject([{ retry: true }]);
      expect(performance.now() - begun).toBeLessThan(10_000);
    });

    test("Redis out of memory: refused, with nothing half done", async () => {
      await using server = await startRedis();
      await using full = await startGateway({ redis: server.url, token: TOKEN });
      await using bare = bareClient(server.url);
      await bare.config("SET", "maxmemory", "1");
      const [verdict] = await make({ url: full.url, token: TOKEN }).publish([outgoing("q")]);
      expect(verdict).toMatchObject({ is: "refused", retry: true, reason: expect.stringContaining("OOM") });
      await bare.config("SET", "maxmemory", "0");
      expect(await bare.dbsize()).toBe(0);
    });
  });

  describe("aborted", () => {
    test("a pause between attempts ends at once", async () => {
      const { platform, waiting } = countingPlatform();
      // Pauses, and attempts, as long as they get.
      const broker = make({
        url: gateway.url,
        token: TOKEN,
        platform: { ...platform, random: { next: () => 1 } },
      });
      const abort = new AbortController();
      gateway.faults.silent(Infinity);
      const publishing = broker.publish([outgoing("q")], { signal: abort.signal });
      await until(() => waiting.size === 1, { what: "the attempt" });
      const timers = platform.clock.after;
      let pauses = 0;
      Object.assign(platform.clock, {
        after: (...args: Parameters<typeof timers>) => (pauses++, timers(...args)),
      });
      abort.abort();
      expect((await publishing).map(({ is }) => is)).toEqual(["unknown"]);
      expect(pauses).toBe(0);
      expect(waiting.size).toBe(0);
    });

    test("before it: refused; on its way: unknown, at once", async () => {
      const { platform, waiting } = countingPlatform();
      const broker = make({ url: gateway.url, token: TOKEN, globalKeyprefix, platform });
      gateway.faults.silent(Infinity);
      const abort = new AbortController();
      const begun = performance.now();
      const running = Array.from(
        { length: TIMES },
        () => broker.publish([outgoing("q")], { signal: abort.signal }),
      );
      await Promise.resolve();
      setTimeout(() => abort.abort(new Error("no longer wanted")), 100);
      expect((await Promise.all(running)).flat().map(({ is }) => is)).toEqual(every("unknown"));
      expect(performance.now() - begun).toBeLessThan(3000);
      expect(await broker.publish([outgoing("q")], { signal: abort.signal })).toMatchObject([{
        is: "refused",
      }]);
      expect(waiting.size).toBe(0);
    });
  });
});

describe("errors", () => {
  /** A server that says back whatever it was sent, as some proxies do. */
  let echo: Server;
  let url = "";
  beforeAll(async () => {
    echo = createServer((request, response) => {
      const parts: Uint8Array[] = [];
      request.on("data", (part: Uint8Array) => parts.push(part));
      request.on("end", () => {
        const body = Buffer.concat(parts).toString();
        const said =
          `ERR unknown command, with args beginning with: ${body} ${request.headers.authorization}`;
        response.statusCode = request.url?.startsWith("/json") === true ? 400 : 502;
        response.end(request.url?.startsWith("/json") === true ? JSON.stringify({ error: said }) : said);
      });
    });
    await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise<void>((resolve) => echo.close(() => resolve())));

  // What a proxy says is asked again, and the deadline may fall into a question.
  test.each([["/json", /^broker-refused$/], ["/page", /^broker-(lost|timeout)$/]])(
    "no text holds the command or the token: %s",
    async (path, code) => {
      const broker = upstashBroker({ url: url + path, token: TOKEN, publishTimeout: "300ms" });
      const verdicts = await broker.publish([outgoing(PAYLOAD)]);
      const declare = { kind: "binding", exchange: "e", queue: PAYLOAD, routingKey: "k" } as const;
      const calls = [
        () => broker.count(PAYLOAD),
        () => broker.declare([declare]),
        () => broker.purge(PAYLOAD),
      ];
      const errors = await Promise.all(calls.map((call) => failure(call)));
      for (const { error } of errors) {
        expect(error).toMatchObject({ name: "ConnectionError", code: expect.stringMatching(code) });
      }
      const text = [...errors.map(({ error }) => shown(error)), inspect(verdicts), inspect(broker)].join(
        "\n",
      );
      expect(text).not.toContain(PAYLOAD);
      expect(text).not.toContain(TOKEN);
    },
  );

  test.each([
    ["a refused token", "broker-credentials-refused", () => ({ url: gateway.url, token: "another" })],
    ["a silent server", "broker-timeout", () => {
      gateway.faults.silent(Infinity);
      return { url: gateway.url, token: TOKEN, publishTimeout: "100ms" as const };
    }],
  ])("%s is %s", async (_what, code, options) => {
    const { error, ms } = await failure(() => upstashBroker(options()).connect());
    expect(error).toMatchObject({ name: "ConnectionError", code, hint: expect.any(String) });
    expect(ms).toBeLessThan(2000);
  });
});
