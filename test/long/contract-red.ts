import { startGateway } from "../support/gateway.ts";
import { hunt } from "./red/hunt.ts";
import { SUITES } from "./red/suites.ts";
import { SABOTEURS } from "./red/table.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "contract-red",
  what:
    "Every test of the contract suites on RabbitMQ, Redis and Redis over HTTP is green as the adapters are, and red by each saboteur that breaks its promise; on the memory broker so is the one that no server has.",
  needs: ["rabbit", "redis"],
  runs: 1,
  async run({ rabbit, redis, say, until }) {
    // What a spoilt test leaves behind rejects when nobody looks any more.
    const ignore = (): void => {};
    await using gateway = await startGateway({ redis: redis().url });
    process.on("unhandledRejection", ignore).on("rejectionHandled", ignore);
    try {
      const { again, greens, reds, wrong } = await hunt({
        servers: { rabbit: rabbit(), redis: redis(), gateway },
        saboteurs: SABOTEURS,
        ...{ say, until },
      });
      if (wrong.length > 0) throw new Error(`${wrong.length} things are wrong:\n${wrong.join("\n")}`);
      const tests: Record<string, Record<string, Record<string, string>>> = {};
      for (const { suite, test, saboteur, said } of reds.toSorted((a, b) => a.test < b.test ? -1 : 1)) {
        ((tests[test] ??= {})[suite] ??= {})[saboteur] = said;
      }
      const coverage = SUITES.map((name) => [
        `${name}: tests seen red`,
        new Set(reds.filter(({ suite }) => suite === name).map(({ test }) => test)).size,
      ]);
      return {
        runs: 1,
        seeds: [],
        counts: {
          saboteurs: SABOTEURS.length,
          "green without one": greens,
          reds: reds.length,
          "run again": again,
        },
        coverage: Object.fromEntries(coverage) as Record<string, number>,
        tests,
      };
    } finally {
      process.off("unhandledRejection", ignore).off("rejectionHandled", ignore);
    }
  },
};
