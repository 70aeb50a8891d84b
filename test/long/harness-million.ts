import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../house/copy.ts";
import type { Part } from "./part.ts";

/** What bench/harness.mjs writes. */
interface Figures {
  readonly tasks: number;
  /** Tasks a second, on the clock. */
  readonly wall: number;
  /** Of the processor for a task, µs. */
  readonly cpu: number;
  /** MB in use after a collection. */
  readonly heap: { readonly before: number; readonly onTheWay: readonly number[]; readonly after: number };
  /** Of the time, percent. */
  readonly shares: Readonly<Record<string, number>>;
}

export const part: Part = {
  name: "harness-million",
  what:
    "A million tasks through one worker of one harness: all run, and the heap is flat after the warm-up (bench/harness.mjs).",
  needs: [],
  runs: 1_000_000,
  async run({ runs, say, until }) {
    const built = spawnSync("npm", ["run", "--silent", "build"], { cwd: ROOT, stdio: "inherit" });
    if (built.status !== 0) throw new Error("it does not build");
    const folder = mkdtempSync(join(tmpdir(), "celeriac-harness-"));
    const file = join(folder, "figures.json");
    try {
      const bench = spawn(process.execPath, ["--expose-gc", "bench/harness.mjs"], {
        cwd: ROOT,
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, TASKS: String(runs), FIGURES: file },
        timeout: Math.max(1, Math.ceil(until - performance.now())),
      });
      bench.stdout.on("data", (chunk: Buffer) => say(String(chunk).trim()));
      const [code, signal] = await once(bench, "close") as [number | null, string | null];
      if (code !== 0) throw new Error(`bench/harness.mjs ended with ${signal ?? code}`);
      const { cpu, heap, shares, tasks, wall } = JSON.parse(readFileSync(file, "utf8")) as Figures;
      return {
        runs: tasks,
        seeds: [],
        counts: {
          "tasks a second": wall,
          "processor's time for a task, µs": cpu,
          "heap after the warm-up, MB": heap.before,
          "heap on the way, MB": heap.onTheWay.join(" "),
          "heap at the end, MB": heap.after,
          ...Object.fromEntries(Object.entries(shares).map(([name, share]) => [`time: ${name}, %`, share])),
          processor: cpus()[0]?.model ?? "unknown",
        },
        coverage: { "tasks run": tasks, "looks at the heap on the way": heap.onTheWay.length },
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
