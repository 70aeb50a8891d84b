/** Publishing from one isolate: an app at the top of a module serves every request. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EdgeServers, startEdgeServers } from "../support/edge/bench.ts";
import { WAYS } from "../support/edge/functions.ts";
import { deleteRabbit, deleteRedis, takeRabbit, takeRedis } from "../support/edge/queues.ts";
import { pause, until } from "../support/wait.ts";
import { FLAGS, type Isolate, isolate, TROUBLE } from "./isolate.ts";

let servers: EdgeServers;

beforeAll(async () => {
  servers = await startEdgeServers();
});

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

describe.each(FLAGS)("workerd %s", (_name, flags) => {
  describe.each(WAYS)("$name", ({ by, code }) => {
    const queue = `workerd-${crypto.randomUUID()}`;
    const take = (): Promise<string[]> => by === "http" ? takeRedis(queue) : takeRabbit(queue);
    let worker: Isolate;

    beforeAll(async () => {
      // Constructed at the top of the module: where that did I/O, drew an id or set a timer, workerd would not start it.
      worker = await isolate(code(servers.given(queue)), flags);
    });

    afterAll(async () => {
      await worker[Symbol.asyncDispose]();
      await (by === "http" ? deleteRedis(queue) : deleteRabbit(queue));
    });

    const publish = async (...paths: string[]): Promise<void> => {
      const answers = await Promise.all(paths.map((path) => worker.ask(path)));
      expect(answers.map(({ error }) => error)).toEqual(paths.map(() => undefined));
      const ids = answers.flatMap((answer) => answer.ids ?? []);
      expect(new Set(ids).size).toBe(ids.length);
      expect((await take()).sort()).toEqual(ids.sort());
      expect(worker.log).not.toMatch(TROUBLE);
    };

    test("20 requests at once, the first that it ever has", () =>
      publish(...Array.from({ length: 20 }, () => "/send/1")));

    test("two requests, one after the other", async () => {
      await publish("/send/1");
      await publish("/send/1");
    });

    test("two requests at once", () => publish("/send/1", "/send/1"));

    test("requests at once with many messages each", () => publish("/send/30", "/send/1", "/send/30"));

    test("no connection outlives its request", async () => {
      await publish("/send/1", "/send/1");
      await until(() => servers.relay.proxy.live === 0, { what: "no connection at the relay" });
    });

    /** The message of a client that is gone may come, then or later, but once. */
    const seen: string[] = [];
    const holds = async (ids: readonly string[]): Promise<void> => {
      seen.push(...await take());
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toEqual(expect.arrayContaining([...ids]));
      expect(worker.log).not.toMatch(TROUBLE);
    };

    test("a request whose client goes away harms no other", async () => {
      const answered: string[] = [];
      for (let ms = 0; ms < 60; ms += 6) {
        const client = new AbortController();
        const lost = worker.fetch("/send/1", { signal: client.signal });
        const here = worker.ask("/send/1");
        await pause(ms);
        client.abort();
        await lost.then((response) => response.body?.cancel()).catch(() => {});
        for (const { error, ids } of [await here, await worker.ask("/send/1")]) {
          expect(error).toBeUndefined();
          answered.push(...ids ?? []);
        }
      }
      await holds(answered);
    });

    test("a request whose client goes away while the server is silent harms no other", async () => {
      const { gateway: { faults, requests }, relay: { proxy } } = servers;
      const before = requests.length;
      if (by === "http") faults.silent(1);
      else proxy.blackhole("down");
      const client = new AbortController();
      const lost = worker.fetch("/send/1", { signal: client.signal });
      await until(() => by === "http" ? requests.length > before : proxy.live > 0, { what: "it waits" });
      client.abort();
      await expect(lost).rejects.toThrow();
      proxy.heal();
      faults.heal();
      const { error, ids = [] } = await worker.ask("/send/1");
      expect(error).toBeUndefined();
      await holds(ids);
    });
  });
});
