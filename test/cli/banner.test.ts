import { expect, test } from "vitest";
import { renderBanner } from "../../src/cli/banner.ts";

const BANNER = {
  hostname: "w1@vm",
  version: "0.1.0",
  system: "Linux-6.1-x64 node 20.20.2",
  time: "2026-11-22 05:21:24",
  app: "proj",
  transport: "amqp://guest:***@localhost:5672//",
  results: "redis://localhost:6379/0",
  concurrency: 4,
  pool: "loop",
  queues: [
    { name: "sum-queue", exchange: "sum-queue", exchangeType: "direct", routingKey: "sum-queue" },
    { name: "celery", exchange: "celery", exchangeType: "direct", routingKey: "celery" },
  ],
  tasks: ["proj.b", "proj.a"],
};

test("the banner has Celery's shape", () => {
  expect(renderBanner(BANNER, false)).toBe(
    [
      " ",
      " -------------- w1@vm v0.1.0 (celeriac)",
      "--- ***** ----- ",
      "-- ******* ---- Linux-6.1-x64 node 20.20.2 2026-11-22 05:21:24",
      "- *** --- * --- ",
      "- ** ---------- [config]",
      "- ** ---------- .> app:         proj",
      "- ** ---------- .> transport:   amqp://guest:***@localhost:5672//",
      "- ** ---------- .> results:     redis://localhost:6379/0",
      "- *** --- * --- .> concurrency: 4 (loop)",
      "-- ******* ---- .> task events: OFF",
      "--- ***** ----- ",
      " -------------- [queues]",
      "                .> sum-queue        exchange=sum-queue(direct) key=sum-queue",
      "                .> celery           exchange=celery(direct) key=celery",
      "",
      "[tasks]",
      "  . proj.a",
      "  . proj.b",
      "",
      "",
    ].join("\n"),
  );
});

test("tasks are left out where the level hides them, and colour is only added", () => {
  const plain = renderBanner({ ...BANNER, tasks: undefined }, false);
  expect(plain).not.toContain("[tasks]");
  expect(renderBanner({ ...BANNER, tasks: undefined }, true).replaceAll(/\u001b\[[\d;]*m/g, "")).toBe(plain);
});
