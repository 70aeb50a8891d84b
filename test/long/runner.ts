/**
 * Runs parts one after the other, each with servers of its own, and writes a record of each that passed.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { type PrivateServer, type RabbitServer, startRabbit, startRedis } from "../support/servers.ts";
import type { Outcome, Part, Task } from "./part.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NOT_PARTS: ReadonlySet<string> = new Set(["part.ts", "runner.ts"]);
/** Between two lines of progress, ms. */
const QUIET = 15_000;

/** What the command line says. */
export interface LongOptions {
  /** All where none is named. */
  readonly names: readonly string[];
  readonly runs: number | undefined;
  readonly seed: number | undefined;
  readonly path: string | undefined;
  /** For each part. */
  readonly minutes: number;
  /** Of the process and of all that it starts. */
  readonly nice: number;
  readonly record: boolean;
}

export async function parts(): Promise<readonly Part[]> {
  const files = readdirSync(new URL(".", import.meta.url)).filter((file) =>
    file.endsWith(".ts") && !NOT_PARTS.has(file)
  );
  const modules = await Promise.all(
    files.map((file) => import(`./${file}`) as Promise<{ readonly part: Part }>),
  );
  return modules.map(({ part }) => part);
}

/** The exit code. */
export async function long(options: LongOptions): Promise<number> {
  const all = await parts();
  const unknown = options.names.filter((name) => !all.some((part) => part.name === name));
  if (unknown.length > 0) {
    console.error(
      `no part named ${unknown.join(", ")}; there are ${all.map((part) => part.name).join(", ")}`,
    );
    return 2;
  }
  // Servers inherit it: whoever works on the machine goes first.
  setPriority(options.nice);
  let failed = 0;
  for (const part of all) {
    if (options.names.length > 0 && !options.names.includes(part.name)) continue;
    if (!await one(part, options)) failed++;
  }
  return failed === 0 ? 0 : 1;
}

async function one(part: Part, options: LongOptions): Promise<boolean> {
  const begin = performance.now();
  let told = begin;
  const runs = options.runs ?? part.runs;
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  const say = (text: string): void => {
    console.log(`[${((performance.now() - begin) / 1000).toFixed(0).padStart(5)} s] ${part.name}: ${text}`);
  };
  say(`${runs} runs, seed ${seed}, at most ${options.minutes} minutes`);
  await using servers = await Servers.start(part);
  const task: Task = {
    runs,
    seed,
    path: options.path,
    until: begin + options.minutes * 60_000,
    say: (text) => {
      if (performance.now() - told < QUIET) return;
      told = performance.now();
      say(text);
    },
    rabbit: () => servers.rabbit(),
    redis: () => servers.redis(),
  };
  try {
    const outcome = await part.run(task);
    const missing = Object.entries(outcome.coverage).filter(([, count]) => count === 0).map(([name]) => name);
    const whole = outcome.runs >= runs && options.path === undefined;
    const seconds = Math.round((performance.now() - begin) / 1000);
    say(`${outcome.runs} runs in ${seconds} s: ${JSON.stringify(outcome.counts)}`);
    say(`coverage: ${JSON.stringify(outcome.coverage)}`);
    if (missing.length > 0) say(`never occurred: ${missing.join(", ")}`);
    if (!whole) say("the time was over before all of it was run");
    if (options.record && options.path === undefined && missing.length === 0) {
      write(part, runs, outcome, seconds, await servers.versions());
    }
    return missing.length === 0 && (whole || options.path !== undefined);
  } catch (error) {
    say(`FAILED: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    return false;
  }
}

/** What a part's servers are. */
class Servers implements AsyncDisposable {
  readonly #rabbit: RabbitServer | undefined;
  readonly #redis: PrivateServer | undefined;

  private constructor(rabbit: RabbitServer | undefined, redis: PrivateServer | undefined) {
    this.#rabbit = rabbit;
    this.#redis = redis;
  }

  static async start({ needs }: Part): Promise<Servers> {
    return new Servers(
      needs.includes("rabbit") ? await startRabbit() : undefined,
      needs.includes("redis") ? await startRedis() : undefined,
    );
  }

  rabbit(): RabbitServer {
    if (this.#rabbit === undefined) throw new Error('this part does not say that it needs "rabbit"');
    return this.#rabbit;
  }

  redis(): PrivateServer {
    if (this.#redis === undefined) throw new Error('this part does not say that it needs "redis"');
    return this.#redis;
  }

  async versions(): Promise<Readonly<Record<string, string>>> {
    const said = await this.#rabbit?.evaluate("{rabbit_misc:version(), rabbit_misc:otp_release()}");
    const [, rabbitmq, erlang] = /\{"([^"]+)","([^"]+)"\}/.exec(said ?? "") ?? [];
    const redis = /v=(\S+)/.exec(output("redis-server", "--version"))?.[1];
    return {
      node: process.version,
      "fast-check": versionOf("fast-check"),
      "@cloudamqp/amqp-client": versionOf("@cloudamqp/amqp-client"),
      ...(rabbitmq === undefined || erlang === undefined ? {} : { rabbitmq, erlang }),
      ...(this.#redis === undefined || redis === undefined ? {} : { redis, ioredis: versionOf("ioredis") }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#rabbit?.[Symbol.asyncDispose](), this.#redis?.[Symbol.asyncDispose]()]);
  }
}

function versionOf(name: string): string {
  const manifest = readFileSync(`${ROOT}/node_modules/${name}/package.json`, "utf8");
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

function output(program: string, ...args: string[]): string {
  return spawnSync(program, args, { encoding: "utf8", cwd: ROOT }).stdout?.trim() ?? "";
}

/** `records/<date>-<part>.json`; a second one of a day replaces the first. */
function write(
  part: Part,
  asked: number,
  outcome: Outcome,
  seconds: number,
  versions: Readonly<Record<string, string>>,
): void {
  const date = new Date().toISOString().slice(0, 10);
  const folder = `${ROOT}/records`;
  mkdirSync(folder, { recursive: true });
  const record = {
    part: part.name,
    what: part.what,
    date,
    // The commit that was run; "+" where something was not committed.
    commit: output("git", "rev-parse", "--short=12", "HEAD") +
      (output("git", "status", "--porcelain") === "" ? "" : "+"),
    seconds,
    versions,
    asked,
    ...outcome,
  };
  writeFileSync(`${folder}/${date}-${part.name}.json`, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`wrote records/${date}-${part.name}.json`);
}
