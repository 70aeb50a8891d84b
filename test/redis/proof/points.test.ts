/** A worker is killed at each named point of one task's way: what becomes of the task is what docs/guarantees.md says. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AMQPClient } from "@cloudamqp/amqp-client";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { amqpBroker } from "../../../adapters/amqp/tcp.ts";
import { redisBroker } from "../../../adapters/redis/tcp.ts";
import type { Point } from "../../../src/worker/probe.ts";
import { POINTS } from "../../simulation/plan.ts";
import { type PrivateServer, startRedis } from "../../support/servers.ts";
import { bareClient } from "../setup.ts";
import { type Case, playPoints, TIMES } from "./kill/points.ts";

/** By point, acked early and late. */
const PLAIN: Readonly<Record<Point, readonly [early: string, late: string]>> = {
  accepted: ["0, 0, PENDING, 0", "1, 1, SUCCESS, 1"],
  started: ["1, 0, PENDING, 0", "2, 1, SUCCESS, 1"],
  ended: ["1, 1, PENDING, 0", "2, 2, SUCCESS, 1"],
  followed: ["1, 1, PENDING, 1", "2, 2, SUCCESS, 2"],
  stored: ["1, 1, SUCCESS, 1", "2, 2, SUCCESS, 2"],
  beforeSettle: ["1, 1, SUCCESS, 1", "2, 2, SUCCESS, 2"],
  // Its late ack is written when the process dies, and has left it or not.
  afterSettle: ["1, 1, SUCCESS, 1", "1, 1, SUCCESS, 1 or 2, 2, SUCCESS, 2"],
};

/** The retry is sent, its message not settled. */
const AGAIN: readonly Case[] = [
  { name: "again.early", task: "kill.again.early", point: "followed", becomes: "2, 2, SUCCESS, 0" },
  { name: "again.late", task: "kill.again.late", point: "followed", becomes: "4, 4, SUCCESS, 0" },
];

const CASES: readonly Case[] = [
  ...POINTS.flatMap((point) =>
    (["early", "late"] as const).map((acks, at): Case => ({
      ...{ name: `${point}.${acks}`, task: `kill.${acks}`, point },
      becomes: PLAIN[point][at] ?? "",
    }))
  ),
  ...AGAIN,
];

let server: PrivateServer;
const folder = mkdtempSync(join(tmpdir(), "celeriac-points-"));

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test(
  "SIGKILL at each named point, acked early and late, with a link and with a retry: each cell is as in the guarantees",
  async () => {
    await using redis = bareClient(server.url);
    const { became, becomes } = await playPoints({
      ...{ cases: CASES, url: server.url, backend: server.url, folder },
      broker: redisBroker(server.url, TIMES),
      isEmpty: async (queues) => await redis.exists("unacked", ...queues) === 0,
    });
    console.log(became);
    expect(became).toEqual(becomes);
  },
  180_000,
);

test(
  "on RabbitMQ, a worker that is killed with the retry sent and nothing settled: early the retry runs, late both live",
  async () => {
    const client = await new AMQPClient(inject("amqp")).connect();
    const channel = await client.channel();
    await using redis = bareClient(server.url);
    await redis.flushall();
    const { became, becomes, queues } = await playPoints({
      ...{
        cases: AGAIN,
        url: inject("amqp"),
        backend: server.url,
        folder: mkdtempSync(join(folder, "amqp-")),
      },
      broker: amqpBroker(inject("amqp")),
      isEmpty: async (names) => {
        for (const name of names) {
          const { consumerCount, messageCount } = await channel.queueDeclare(name, { passive: true });
          // What the dead had in hand is back when they count as consumers no more.
          if (messageCount > 0 || consumerCount > 1) return false;
        }
        return true;
      },
    });
    for (const name of queues) await channel.queueDelete(name);
    await client.close();
    expect(became).toEqual(becomes);
  },
  120_000,
);
