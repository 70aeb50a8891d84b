/**
 * Links that say nothing: noticed in time, and never ours.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { until } from "../support/wait.ts";
import { consuming, events, Rig, take, task } from "./rig.ts";

describe("A11: silence", () => {
  test("is noticed within 2.5 heartbeats, and health says so meanwhile", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = rig.broker({ heartbeat: "1s", connectTimeout: "1s" });
    const seen = events(broker);
    const consumer = broker.consume([queue], { prefetch: 5 });
    await consuming(consumer);
    const started = Date.now();
    rig.proxy.blackhole("both");
    const down = await until(() => seen.find((event) => event.is === "down"), {
      what: "news of the silence",
    });
    const took = Date.now() - started;
    console.log(`silence noticed after ${took} ms at a heartbeat of 1000 ms`);
    expect(took).toBeLessThan(2500 + 200);
    expect(down).toMatchObject({ link: "consume", error: { code: "broker-silent" } });
    expect(consumer.aliveAt).toBeLessThanOrEqual(started + 100);
    rig.proxy.heal();
    rig.proxy.cut();
    await rig.fill(queue, ["after"]);
    await take(consumer, 1);
    expect(consumer.aliveAt).toBeGreaterThan(started + 1000);
  });

  test("is noticed while we write into it", async () => {
    await using rig = await Rig.start();
    const queue = await rig.queue();
    const broker = rig.broker({ heartbeat: "1s", connectTimeout: "1s" });
    const seen = events(broker);
    await broker.publish([task(queue)]);
    rig.proxy.blackhole("both");
    const started = Date.now();
    const publishes: Promise<unknown>[] = [];
    await until(() => {
      publishes.push(broker.publish([task(queue)]));
      return seen.find((event) => event.is === "down");
    }, { what: "news of the silence", every: 100 });
    expect(Date.now() - started).toBeLessThan(2500 + 300);
    rig.proxy.cut();
    await Promise.all(publishes);
  });

  test("of ours alone never lets the broker take us for dead", async () => {
    await using rig = await Rig.start();
    const broker = rig.broker({ heartbeat: "1s" });
    const seen = events(broker);
    const inbox = `inbox.${crypto.randomUUID()}`;
    // Receives all the time and acks nothing: the broker sends no heartbeats then, and the library would have none to echo.
    const subscription = broker.subscribe({ queue: inbox });
    await subscription.ready;
    const end = Date.now() + 5000;
    let count = 0;
    const listening = (async () => {
      for await (const _ of subscription) count++;
    })();
    while (Date.now() < end) {
      await rig.direct.publish([{ ...task(inbox), mustRoute: true }]);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await subscription.close();
    await listening;
    expect(seen.filter(({ is }) => is !== "up")).toEqual([]);
    expect(count).toBeGreaterThan(15);
  });
});
