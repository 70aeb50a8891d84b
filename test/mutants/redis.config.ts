/**
 * The common configuration, with the mutant of the broker on Redis that MUTANT names.
 *
 * @module
 */
import { defineConfig, type Plugin } from "vitest/config";
import common from "../../vitest.config.ts";
import { REDIS_MUTANTS } from "./redis-mutants.ts";
import { signed } from "./signed.ts";

const name = process.env["MUTANT"];
const mutant = REDIS_MUTANTS.find((one) => one.name === name);
if (mutant === undefined) throw new Error(`no mutant "${name}"`);
const { file, from, to } = mutant;

const plugin: Plugin = {
  name: "mutant",
  enforce: "pre",
  transform(code, id) {
    if (!id.endsWith(`/adapters/redis/${file}`)) return null;
    if (code.split(from).length !== 2) throw new Error(`${file} does not hold it once: ${from}`);
    return signed(code.replace(from, () => to));
  },
};

export default defineConfig({ ...common, plugins: [plugin] });
