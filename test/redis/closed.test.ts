/** What is under way when a broker is closed, over links that do what the test says. */
import { expect, test } from "vitest";
import { type BrokerParts, RedisBroker } from "../../adapters/redis/broker.ts";
import type { Command } from "../../adapters/redis/client.ts";
import { LinkCommands } from "../../adapters/redis/commands.ts";
import { refusal } from "../../adapters/redis/fault.ts";
import type { Connection, Open } from "../../adapters/redis/link.ts";
import type { BrokerEvent } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { letter } from "../../src/testing/contract/letter.ts";
import { until } from "../support/wait.ts";

const SUBJECT = { role: "broker", address: "redis://fake", secrets: [] } as const;

/** Links that count themselves. */
class Links {
  opened = 0;
  live = 0;
  /** What was sent, each with the name of its link. */
  readonly sent: string[] = [];
  /** What a command is answered. */
  answer: (command: Command) => unknown = (command) =>
    command[1] === "id" ? "7" : /^eval/i.test(String(command[0])) ? "1" : "OK";
  /** What the link of this name waits for before it is open. */
  slow: (name: string) => Promise<void> | undefined = () => undefined;
  /** Whether answers come. */
  silent = false;

  readonly open = (name: string): Open => async () => {
    this.opened++;
    await this.slow(name);
    this.live++;
    const gone = deferred<never>();
    gone.promise.catch(() => {});
    const nothing = (): Promise<void> => Promise.resolve();
    const connection: Connection = {
      send: async (commands) => {
        this.sent.push(...commands.map((command) => `${name} ${command.slice(0, 2).join(" ")}`));
        return this.silent ? await gone.promise : commands.map((command) => this.answer(command));
      },
      ...{ subscribe: nothing, unsubscribe: nothing, psubscribe: nothing, punsubscribe: nothing },
      close: () => {
        this.live--;
        gone.reject(new Error("closed"));
        return Promise.resolve();
      },
    };
    return connection;
  };

  broker(): RedisBroker {
    const server = { db: 0, own: this.open, shared: this.open, connectTimeout: 1000, subject: SUBJECT };
    const times = {
      ...{ publishTimeout: 5000, commandTimeout: 5000, closeTimeout: 500, reconnectMax: 1000 },
      ...{ visibilityTimeout: 3_600_000, consumerTimeout: 120_000, sweepInterval: 30_000 },
    };
    const parts = { platform: systemPlatform, prefix: "", maxMessage: 1e6, topology: "declare", server };
    return new RedisBroker({ ...parts, ...times } as unknown as BrokerParts);
  }
}

const ONE = { message: letter("1"), to: { exchange: "", routingKey: "q" }, mustRoute: true };

test("a publish that gets no answer leaves no link behind, whose broker let go of it", async () => {
  const links = new Links();
  const broker = links.broker();
  expect(await broker.publish([ONE])).toEqual([{ is: "confirmed" }]);
  links.silent = true;
  const hanging = broker.publish([ONE]);
  await until(() => links.sent.length === 2, { what: "a publish on its way" });
  await broker.close({ signal: AbortSignal.abort() });
  links.silent = false;
  expect((await hanging).map(({ is }) => is)).toEqual(["unknown"]);
  // What would be sent next is sent within these.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect([links.opened, links.live]).toEqual([1, 0]);
});

test("a command that the server puts off is not sent again after a close", async () => {
  const links = new Links();
  links.answer = () => refusal("LOADING Redis is loading the dataset in memory");
  const commands = new LinkCommands({
    ...{ open: links.open("publish"), platform: systemPlatform, subject: SUBJECT },
    ...{ connectTimeout: 1000, commandTimeout: 5000 },
  });
  const asked = commands.run([["ping"]], { repeatable: true });
  const told = expect(asked).rejects.toMatchObject({ code: "broker-closed" });
  await until(() => links.sent.length === 1, { what: "the command" });
  await commands.close();
  await told;
  expect([links.opened, links.live]).toEqual([1, 0]);
});

test("a broker that is used again after a close is told of changes, whichever of its links is slow", async () => {
  for (const late of ["wake", "consume"]) {
    const links = new Links();
    const broker = links.broker();
    const tracked = (): number => links.sent.filter((line) => line === "consume client tracking").length;
    broker.consume(["q"], { prefetch: 1 });
    await until(() => tracked() > 0, { what: "CLIENT TRACKING" });
    await broker.close();
    const before = tracked();
    const slow = deferred<void>();
    const opened = links.opened;
    links.slow = (name) => name === late ? slow.promise : undefined;
    broker.consume(["q"], { prefetch: 1 });
    await until(() => links.opened === opened + 2, { what: "both links" });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    slow.resolve();
    await until(() => tracked() > before, {
      what: `CLIENT TRACKING again, where the link to ${late} is slow`,
    });
    await broker.close();
  }
});

test("a consumer that is made while its broker closes ends, and says why", async () => {
  const links = new Links();
  const broker = links.broker();
  const events: BrokerEvent[] = [];
  broker.observe((event) => void events.push(event));
  await broker.connect();
  const closing = broker.close();
  const consumer = broker.consume(["q"], { prefetch: 1 });
  await closing;
  const closed = expect.objectContaining({ code: "broker-closed" }) as unknown;
  await expect(consumer[Symbol.asyncIterator]().next()).rejects.toEqual(closed);
  expect(events.at(-1)).toEqual({ is: "fatal", error: closed });
});
