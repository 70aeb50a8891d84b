import { differential } from "../contract/rabbit/differential.ts";
import { time } from "../contract/rabbit/profiles.ts";
import type { Part } from "./part.ts";

const LANES = 64;
/** ms. */
const UNIT = 200;

export const part: Part = {
  name: "rabbit-time",
  what:
    "P11: ends of messages and queues, dead letters and x-death are equal on the reducer and on RabbitMQ as time passes.",
  needs: ["rabbit"],
  runs: 1000,
  async run({ runs, seed, path, until, say, rabbit }) {
    const { sequences, steps, leftOut, tooSlow, seeds, cover } = await differential({
      url: rabbit().url,
      profile: time(UNIT),
      runs: path === undefined ? runs : 1,
      seed,
      lanes: path === undefined ? LANES : 1,
      until,
      ...(path === undefined ? {} : { path }),
      onSequence: (done) => say(`${done} sequences`),
    });
    return {
      runs: sequences + tooSlow,
      seeds,
      counts: {
        divergences: 0,
        "steps compared": steps,
        "steps left to chance": leftOut,
        "sequences too slow to say": tooSlow,
      },
      coverage: cover.toJSON(),
    };
  },
};
