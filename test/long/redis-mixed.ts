import { leaseProperty } from "../redis/proof/lease-property.ts";
import { startPython } from "../support/python.ts";
import type { Part } from "./part.ts";

export const part: Part = {
  name: "redis-mixed",
  what:
    "P16: the same beside consumers of kombu; what is lost is lost by kombu, between its BRPOP and its `unacked`.",
  needs: ["redis"],
  runs: 1000,
  async run({ path, redis, runs, say, seed, until }) {
    await using python = await startPython("kombu_steps.py");
    const { cover, lostByKombu, steps } = await leaseProperty({
      ...{ url: redis().url, python, runs, seed, until, ...(path === undefined ? {} : { path }) },
      onRun: (done) => say(`${done} sequences`),
    });
    return {
      runs: cover.runs,
      seeds: [seed],
      counts: {
        violations: 0,
        steps,
        "lost in kombu's own window": lostByKombu,
        kombu: python.facts["kombu"] ?? "",
      },
      coverage: cover.toJSON(),
    };
  },
};
