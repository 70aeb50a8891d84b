/**
 * `npm test`: builds, checks, starts private servers, and runs all tests on Node, then on Bun and Deno and, those that can run there, in
 * workerd, side by side: most tests wait.
 *
 * For development: `node test/run.mjs --runtime node --files test/amqp` (each may be given several times; floors,
 * checks and the build are left out). `--floors` writes the counts reached into test/floors.json.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createJiti } from "jiti";
import { givenUrls, needs } from "../scripts/needs.mjs";
import { MARK, sweep } from "./leftovers.mjs";
import { ONCE } from "./rooms.mjs";

/** @typedef {"node" | "bun" | "deno" | "workerd"} Runtime */
/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BIN = join(ROOT, "node_modules", ".bin");
const FLOORS = join(ROOT, "test", "floors.json");
const SKIPS = join(ROOT, "test", "skips.md");
/** The whole of it may take this long, ms: a guard against a run that hangs, not the goal, which is less than 15 minutes. */
const DEADLINE = 30 * 60_000;

/** What runs side by side, one group after the other, and how many test files of each at a time. */
const GROUPS = /** @type {const} */ ([{ node: 4 }, { bun: 2, deno: 2, workerd: 1 }]);

/** So many of the slowest files are told. */
const SLOWEST = 12;

/** @type {Record<Runtime, readonly [string, ...string[]]>} */
const RUNTIMES = {
  node: [process.execPath],
  bun: [join(BIN, "bun")],
  deno: [join(BIN, "deno"), "run", "-A"],
  // Node holds vitest's main process, the tests themselves run inside workerd: test/support/workerd.ts sees to it.
  workerd: [process.execPath],
};

/** @type {Record<Runtime, string>} */
const CONFIGS = {
  node: "vitest.config.ts",
  bun: "vitest.config.ts",
  deno: "vitest.config.ts",
  workerd: "vitest.workerd.config.ts",
};

/** @type {Record<Runtime, string>} */
const WHAT = {
  node: "",
  bun: ` (but ${ONCE.join(", ")}, which run once, on Node; what repeats, a quarter as often)`,
  deno: ` (but ${ONCE.join(", ")}, which run once, on Node; what repeats, a quarter as often)`,
  workerd: " (what needs no server, process or socket of its own: test/rooms.mjs)",
};

const { values: options } = parseArgs({
  options: {
    runtime: { type: "string", multiple: true },
    files: { type: "string", multiple: true },
    floors: { type: "boolean", default: false },
  },
});
const unknown = (options.runtime ?? []).filter((name) => !Object.hasOwn(RUNTIMES, name));
if (unknown.length > 0) {
  console.error(`unknown runtime ${unknown.join(", ")}: one of ${Object.keys(RUNTIMES).join(", ")}`);
  process.exit(2);
}
const whole = options.files === undefined;
const runtimes = /** @type {Runtime[]} */ (options.runtime ?? Object.keys(RUNTIMES));

const begin = performance.now();
const scratch = mkdtempSync(join(tmpdir(), "celeriac-run-"));
/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();
/** @type {AsyncDisposable[]} */
const servers = [];
let stopping = false;

/** @param {string} text */
function say(text) {
  console.log(`[${((performance.now() - begin) / 1000).toFixed(0).padStart(3)} s] ${text}`);
}

/** @param {import("node:child_process").ChildProcess} child @param {NodeJS.Signals} name */
function killGroup(child, name) {
  if (child.pid === undefined) return;
  try {
    // Each child leads a group of its own: its workers and their children go with it.
    process.kill(-child.pid, name);
  } catch {
    // Already gone.
  }
}

async function cleanUp() {
  for (const child of children) killGroup(child, "SIGTERM");
  await Promise.all(Object.keys(RUNTIMES).map((runtime) => sweep(join(scratch, runtime), 0)));
  await Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]()));
  for (const child of children) killGroup(child, "SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
}

/** @param {string} why @param {number} code */
async function abandon(why, code) {
  if (stopping) return;
  stopping = true;
  console.error(`\n${why}: stopping tests and servers`);
  await cleanUp();
  process.exit(code);
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @param {string} [name] put before each line, where others write beside it
 * @returns {Promise<number>} the exit code; -1 where there is none
 */
function run(program, args, env = {}, name) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...process.stdout.isTTY && name === undefined ? {} : { NO_COLOR: "1" }, ...env },
      stdio: name === undefined ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
      detached: true,
    });
    children.add(child);
    for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      if (from === null || to === null) continue;
      createInterface({ input: /** @type {import("node:stream").Readable} */ (from) }).on("line", (line) => {
        to.write(`${name} | ${line}\n`);
      });
    }
    child.on("error", (error) => {
      console.error(error.message);
      resolve(-1);
    });
    child.on("close", (code) => {
      // What a test left running in the group ends here; the leader is gone, the group may not be.
      killGroup(child, "SIGKILL");
      children.delete(child);
      resolve(code ?? -1);
    });
  });
}

/** @returns {Promise<{ amqp: string, redis: string }>} */
async function serverUrls() {
  const given = givenUrls();
  const jiti = createJiti(import.meta.url, { fsCache: false, tryNative: false });
  const { startRabbit, startRedis } = /** @type {typeof import("./support/servers.ts")} */ (
    await jiti.import("./support/servers.ts")
  );
  const { declareParking } = /** @type {typeof import("./support/parking.ts")} */ (
    await jiti.import("./support/parking.ts")
  );
  /** @param {string} name @param {string | undefined} url @param {() => Promise<AsyncDisposable & { url: string }>} start */
  const get = async (name, url, start) => {
    if (url !== undefined) {
      say(`${name}: the one of ${given.from}`);
      return url;
    }
    const server = await start();
    servers.push(server);
    say(`${name}: private, on port ${new URL(server.url).port}`);
    return server.url;
  };
  const [amqp, redis] = await Promise.all([
    get("RabbitMQ", given.amqp, async () => {
      const rabbit = await startRabbit();
      await declareParking(rabbit.url);
      return rabbit;
    }),
    get("Redis", given.redis, () => startRedis()),
  ]);
  return { amqp, redis };
}

/** @param {Runtime} runtime @param {{ name: string, startTime: number, endTime: number }[]} files */
function slowest(runtime, files) {
  const took = files.map(({ name, startTime, endTime }) => ({
    name: name.slice(ROOT.length),
    seconds: (endTime - startTime) / 1000,
  })).sort((a, b) => b.seconds - a.seconds);
  const sum = took.reduce((all, { seconds }) => all + seconds, 0);
  const first = took.slice(0, SLOWEST).map(({ name, seconds }) => `${name} ${seconds.toFixed(0)}`);
  say(`${runtime}: ${sum.toFixed(0)} s in test files; the slowest: ${first.join(", ")}`);
}

/**
 * Rows of test/skips.md: | id | test | runtime | reason |, with "all" for every runtime.
 *
 * @returns {{ id: string, test: string, runtime: string, used: boolean }[]}
 */
function readSkips() {
  return readFileSync(SKIPS, "utf8").split("\n").filter((line) => /^\|\s*S\d+\s*\|/.test(line)).map(
    (line) => {
      const [, id = "", test = "", runtime = ""] = line.split("|").map((cell) => cell.trim());
      return { id, test, runtime, used: false };
    },
  );
}

const skips = readSkips();
/** @type {Record<string, number>} */
const floors = JSON.parse(readFileSync(FLOORS, "utf8"));

/**
 * @param {Runtime} runtime
 * @param {Record<string, string>} env
 * @param {string} [name] of the lines, where others write beside it
 * @returns {Promise<Counts>}
 */
async function runTests(runtime, env, name) {
  const file = join(scratch, `${runtime}.json`);
  const [program, ...before] = RUNTIMES[runtime];
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  // Many rooms have no tests for workerd.
  const some = [...options.files ?? [], ...!whole && runtime === "workerd" ? ["--passWithNoTests"] : []];
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", CONFIGS[runtime]];
  const args = [...before, ...vitest, ...reporters, ...some];
  const mark = join(scratch, runtime);
  const code = await run(program, args, { ...env, RUNTIME: runtime, [MARK]: mark }, name);
  const complaints = (await sweep(mark, 3000)).map((command) => `left running by a test: ${command}`);
  let counts = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(file)) {
    const report = JSON.parse(readFileSync(file, "utf8"));
    if (whole) slowest(runtime, report.testResults);
    /** @type {{ status: string, fullName: string }[]} */
    const tests = report.testResults.flatMap((/** @type {any} */ result) => result.assertionResults);
    const skipped = tests.filter((test) => test.status !== "passed" && test.status !== "failed");
    for (const { fullName } of skipped) {
      const row = skips.find((skip) => skip.test === fullName && ["all", runtime].includes(skip.runtime));
      if (row === undefined) complaints.push(`skipped without a row in test/skips.md: ${fullName}`);
      else row.used = true;
    }
    counts = {
      passed: tests.filter((test) => test.status === "passed").length,
      failed: tests.filter((test) => test.status === "failed").length,
      skipped: skipped.length,
    };
  } else {
    complaints.push("vitest wrote no report");
  }
  // A file that fails to load counts no failed test, and a stray error after the last test none either.
  if (code !== 0 && counts.failed === 0) complaints.push(`vitest ended with exit code ${code}`);
  const floor = floors[runtime] ?? 0;
  if (whole && !options.floors && counts.passed < floor) {
    complaints.push(`${counts.passed} passed, the floor is ${floor}`);
  }
  for (const complaint of complaints) console.error(`${runtime}: ${complaint}`);
  return { ...counts, failed: counts.failed + complaints.length };
}

/**
 * The runtimes asked for, in groups: with servers of ours alone, each run of a group has its own.
 *
 * @param {boolean} ours
 * @returns {[Runtime, number][][]}
 */
function together(ours) {
  const groups = GROUPS.map((group) =>
    /** @type {[Runtime, number][]} */ (Object.entries(group)).filter(([runtime]) =>
      runtimes.includes(runtime)
    )
  ).filter((group) => group.length > 0);
  return ours ? groups : groups.flat().map(([runtime]) => [[runtime, 3]]);
}

async function main() {
  const given = givenUrls();
  const missing = needs().filter((need) =>
    !need.met && (need.id === "python" || given[need.id] === undefined)
  );
  if (missing.length > 0) {
    console.error(`Missing: ${missing.map((need) => need.what).join(", ")}. Run \`npm run services\`.`);
    return 1;
  }
  for (const runtime of runtimes) {
    const [program] = RUNTIMES[runtime];
    if (spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0) continue;
    console.error(
      `${runtime} does not start: run \`npm ci\`${
        runtime === "bun" ? " (or `node node_modules/bun/install.js`)" : ""
      }`,
    );
    return 1;
  }
  /** @type {Counts} */
  const total = { passed: 0, failed: 0, skipped: 0 };
  /** @type {string[]} */
  const lines = [];
  const starting = serverUrls();
  // Awaited below, after the build: until then a failure must not count as unhandled.
  starting.catch(() => {});
  if (whole) {
    say("build");
    if (await run("npm", ["run", "--silent", "build"]) !== 0) {
      lines.push("build: FAILED");
      total.failed++;
    }
    say("checks: format, lint, types");
    if (await run(process.execPath, ["scripts/check.mjs"]) !== 0) {
      lines.push("checks: FAILED");
      total.failed++;
    }
  }
  const first = await starting;
  for (const group of together(given.amqp === undefined && given.redis === undefined)) {
    await Promise.all(group.map(async ([runtime, workers], at) => {
      // Two runs of one file at a time would meet in its queues; those in workerd need no server.
      const { amqp, redis } = at === 0 || runtime === "workerd" ? first : await serverUrls();
      say(`tests on ${runtime}${WHAT[runtime]}`);
      const env = { TEST_AMQP: amqp, TEST_REDIS: redis, TEST_WORKERS: String(workers) };
      const counts = await runTests(runtime, env, group.length > 1 ? runtime : undefined);
      total.passed += counts.passed;
      total.failed += counts.failed;
      total.skipped += counts.skipped;
      const floor = whole ? `floor ${floors[runtime] ?? 0}` : "no floor: part of the tests";
      lines.push(
        `${runtime}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${floor})`,
      );
      floors[runtime] = options.floors ? counts.passed : floors[runtime] ?? 0;
    }));
  }
  if (whole && options.runtime === undefined) {
    for (const { id, test } of skips.filter((skip) => !skip.used)) {
      lines.push(`test/skips.md: ${id} names no skipped test: ${test}`);
      total.failed++;
    }
  }
  if (whole && options.floors && total.failed === 0) {
    writeFileSync(FLOORS, `${JSON.stringify(floors, null, 2)}\n`);
  }
  say("done");
  await cleanUp();
  for (const line of lines) console.log(line);
  const tail = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`${total.passed} passed, ${total.failed} failed${tail}`);
  return total.failed === 0 ? 0 : 1;
}

process.on("SIGINT", () => void abandon("SIGINT", 130));
process.on("SIGTERM", () => void abandon("SIGTERM", 143));
process.on("SIGHUP", () => void abandon("SIGHUP", 129));
setTimeout(() => void abandon(`not done within ${DEADLINE / 60_000} minutes`, 1), DEADLINE).unref();

try {
  process.exitCode = await main();
} catch (error) {
  if (!stopping) {
    console.error(error);
    process.exitCode = 1;
  }
} finally {
  if (!stopping) await cleanUp();
}
