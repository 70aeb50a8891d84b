import { differential } from "../contract/rabbit/differential.ts";
import { CHANNELS } from "../contract/rabbit/profiles.ts";
import type { Part } from "./part.ts";

const LANES = 8;

export const part: Part = {
  name: "rabbit-differential",
  what:
    "P01: random channel commands give equal traces and queue counts on the reducer and on RabbitMQ after every step.",
  needs: ["rabbit"],
  runs: 10_000,
  async run({ runs, seed, path, until, say, rabbit }) {
    const server = rabbit();
    const memory = async () => Math.round(Number(await server.evaluate("erlang:memory(total)")) / 2 ** 20);
    const before = await memory();
    const { sequences, steps, leftOut, seeds, cover } = await differential({
      url: server.url,
      profile: CHANNELS,
      runs: path === undefined ? runs : 1,
      seed,
      lanes: path === undefined ? LANES : 1,
      until,
      ...(path === undefined ? {} : { path }),
      onSequence: (done) => say(`${done} sequences`),
    });
    const left = (await server.ctl("list_queues", "--quiet", "name")).trim();
    if (left !== "" && left !== "name") throw new Error(`queues were left behind:\n${left}`);
    return {
      runs: sequences,
      seeds,
      counts: {
        divergences: 0,
        "steps compared": steps,
        "steps left to chance": leftOut,
        lanes: seeds.length,
        "RabbitMQ's memory before, MiB": before,
        "RabbitMQ's memory after, MiB": await memory(),
      },
      coverage: cover.toJSON(),
    };
  },
};
