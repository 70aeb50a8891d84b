/**
 * One configuration for the three runtimes: the package's own names lead to the source, servers come in by URL.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { IN_WORKERD, LONG, ONLY_ON_NODE, OUT_OF_WORKERD } from "./test/rooms.mjs";
import { testFiles } from "./test/support/test-files.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(new URL("deno.json", import.meta.url), "utf8")) as Manifest;

// Without this a test and an example would hold two copies of the package: one from source, one from dist.
const alias = Object.entries(manifest.exports).map(([name, file]) => ({
  find: new RegExp(`^celeriac${name.slice(1).replaceAll("/", "\\/")}$`),
  replacement: fileURLToPath(new URL(file, import.meta.url)),
}));

function runtimeHere(): "node" | "bun" | "deno" {
  if ("Bun" in globalThis) return "bun";
  return "Deno" in globalThis ? "deno" : "node";
}

function server(name: string, fallback: string): string {
  const given = process.env[name];
  if (given !== undefined && given !== "") return given;
  // A vitest worker reads this file too; one line from the main process is enough.
  if (process.env["VITEST_WORKER_ID"] === undefined) {
    console.warn(`${name} is not set: using ${fallback} (npm test starts private servers)`);
  }
  return fallback;
}

/** The long ones first. */
class Sequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((file) => moduleId.endsWith(`/${file}`));
      return at < 0 ? LONG.length : at;
    };
    // The sort is stable.
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

/**
 * What is at home within one isolate of workerd needs no process for each of its files here either: half a second of a core a file. What takes
 * long has one, so that it begins first.
 */
const together = testFiles(IN_WORKERD, [...Object.keys(OUT_OF_WORKERD), ...LONG]);

const runtime = (process.env["RUNTIME"] ?? runtimeHere()) as "node" | "bun" | "deno" | "workerd";

export default defineConfig({
  resolve: { alias },
  oxc: { target: "es2022" },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "apart",
          include: ["test/**/*.test.ts"],
          exclude: [...together, ...runtime === "node" ? [] : ONLY_ON_NODE],
        },
      },
      {
        extends: true,
        test: { name: "together", include: [...together], isolate: false },
      },
    ],
    provide: {
      runtime,
      amqp: server("TEST_AMQP", "amqp://guest:guest@127.0.0.1:5672//"),
      redis: server("TEST_REDIS", "redis://127.0.0.1:6379/0"),
    },
    sequence: { sequencer: Sequencer },
    pool: "forks",
    // Most files wait for servers: on two cores vitest's own choice, one worker, leaves both idle.
    maxWorkers: Number(process.env["TEST_WORKERS"] ?? Math.max(3, availableParallelism())),
    // Beside files that compute, what starts servers and other runtimes is slow on two cores.
    testTimeout: 40_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
