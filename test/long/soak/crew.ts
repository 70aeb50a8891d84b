/**
 * The processes of workers of a soak, each behind a proxy of its own. The first one lives from beginning to end: its heap is measured.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Proxy, startProxy } from "../../support/proxy.ts";
import type { PrivateServer } from "../../support/servers.ts";
import { pause, until } from "../../support/wait.ts";
import { placeOf, through } from "../../redis/setup.ts";
import type { Fault, Life } from "./account.ts";
import { QUEUE } from "./feed.ts";
import type { Sample } from "./heap.ts";
import type { Orders } from "./orders.ts";
import { Tail } from "./tail.ts";

const COUNT = 3;

/** Between two samples of the heap, ms. */
const SAMPLE = 5000;

/** What it is made of. */
export interface CrewParts {
  readonly kind: "rabbit" | "redis";
  readonly broker: PrivateServer;
  readonly backend: string;
  readonly folder: string;
  readonly script: string;
}

/** One worker, whichever process it lives in now. */
export interface Member {
  readonly name: string;
  readonly proxy: Proxy;
  signal(name: NodeJS.Signals): void;
}

/** A process of a member. */
interface Process {
  readonly child: ChildProcess;
  readonly tail: Tail;
  readonly exit: Promise<void>;
  killedAt: number | undefined;
}

/** See the module. */
export class Crew implements AsyncDisposable {
  readonly members: readonly [Member, ...Member[]];
  readonly #parts: CrewParts;
  readonly #processes: Map<string, Process[]> = new Map();
  #over = false;

  private constructor(parts: CrewParts, members: readonly [Member, ...Member[]]) {
    this.#parts = parts;
    this.members = members;
  }

  static async start(parts: CrewParts): Promise<Crew> {
    const proxies = await Promise.all(
      Array.from({ length: COUNT }, () => startProxy(placeOf(parts.broker.url))),
    );
    const members = proxies.map((proxy, at): Member => {
      const name = `w${at + 1}`;
      return { name, proxy, signal: (signal) => void crew.#now(name).child.kill(signal) };
    });
    const crew = new Crew(parts, members as [Member, ...Member[]]);
    for (const member of members) crew.#begin(member);
    return crew;
  }

  get names(): readonly string[] {
    return this.members.map(({ name }) => name);
  }

  /** Processes that were killed. */
  get killed(): number {
    return this.#all().filter(({ killedAt }) => killedAt !== undefined).length;
  }

  /** Runs that began so far. */
  get ran(): number {
    return this.#all().reduce((sum, { tail }) => sum + tail.runs, 0);
  }

  /** By SIGKILL, and another process takes its place. */
  async kill(member: Member): Promise<void> {
    const process = this.#now(member.name);
    process.killedAt = Date.now();
    process.child.kill("SIGKILL");
    await process.exit;
    this.#begin(member);
  }

  /** How long after `since` every worker that lives has begun a run, ms; throws where that is longer than `limit`. */
  async back(since: number, limit: number, { kind }: Fault): Promise<number> {
    const late = (): readonly string[] =>
      this.names.filter((name) => this.#now(name).tail.ranAfter(since) === undefined);
    await until(() => late().length === 0, {
      what: `a run of every worker after this fault: ${kind}`,
      deadline: limit,
      seen: () => `none of ${late().join(", ")}:\n${late().map((name) => this.#end(name)).join("\n")}`,
    });
    return Math.max(...this.names.map((name) => this.#now(name).tail.ranAfter(since) ?? 0)) - since;
  }

  hasRun(ids: readonly string[]): boolean {
    return this.missing(ids).length === 0;
  }

  /** Those that never came to an end, but for the early ones, which a kill may cut short; ten at most. */
  missing(ids: readonly string[]): readonly string[] {
    const tails = this.#all().map(({ tail }) => tail);
    const ended = (id: string): boolean => tails.some((tail) => tail.ended.has(id));
    const missing: string[] = [];
    for (const id of ids) {
      if (!id.startsWith("early") && !ended(id)) missing.push(id);
      if (missing.length === 10) break;
    }
    return missing;
  }

  /** Nothing is left in the queue, and nothing was begun for a while. */
  async drain(left: () => Promise<number>): Promise<void> {
    await until(async () => {
      const before = this.ran;
      await pause(2000);
      return await left() === 0 && this.ran === before;
    }, { what: "an empty queue", deadline: 90_000 });
  }

  /** Warm. */
  async end(): Promise<void> {
    this.#over = true;
    const last = this.names.map((name) => this.#now(name));
    for (const { child } of last) child.kill("SIGTERM");
    await until(() => last.every(({ child }) => child.exitCode !== null || child.signalCode !== null), {
      what: "the end of the workers",
      deadline: 30_000,
    });
    for (const { child } of last) {
      if (child.exitCode !== 0) throw new Error(`a worker ended with ${child.signalCode ?? child.exitCode}`);
    }
  }

  lives(): readonly Life[] {
    return this.names.flatMap((name) =>
      (this.#processes.get(name) ?? []).map(({ killedAt, tail }) => ({
        name,
        killedAt,
        record: readFileSync(tail.file, "utf8"),
      }))
    );
  }

  /** What workers called critical. */
  critical(): readonly string[] {
    return this.#lines(/ critical /);
  }

  /** All that is known of one task. */
  story(id: string): string {
    return this.#lines(new RegExp(` ${id.replace(/[^\w-]/g, "\\$&")}( |$)| (up|down) `)).join("\n").slice(
      0,
      20_000,
    );
  }

  /** The first one's heap, without what came in the first `warmUp` ms. */
  heap(warmUp: number): readonly Sample[] {
    const [process] = this.#processes.get(this.members[0].name) ?? [];
    const lines = readFileSync(process?.tail.file ?? "", "utf8").split("\n");
    const samples = lines.map((line) => line.split(" ")).filter(([, what]) => what === "heap").map(
      ([at, , bytes]): Sample => [Number(at), Number(bytes)],
    );
    const [first = [0, 0]] = samples;
    return samples.filter(([at]) => at - first[0] >= warmUp);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    for (const { child, tail } of this.#all()) {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      tail[Symbol.dispose]();
    }
    await Promise.all(this.members.map(({ proxy }) => proxy[Symbol.asyncDispose]()));
  }

  #lines(pattern: RegExp): readonly string[] {
    return this.lives().flatMap(({ name, record }) =>
      record.split("\n").filter((line) => pattern.test(line)).map((line) => `${name} ${line}`)
    );
  }

  /** The last lines of the process that a worker lives in now. */
  #end(name: string): string {
    const lines = readFileSync(this.#now(name).tail.file, "utf8").trimEnd().split("\n");
    return lines.slice(-12).map((line) => `${name} ${line}`).join("\n");
  }

  #all(): readonly Process[] {
    return [...this.#processes.values()].flat();
  }

  #now(name: string): Process {
    const process = this.#processes.get(name)?.at(-1);
    if (process === undefined) throw new Error(`there is no ${name}`);
    return process;
  }

  #begin({ name, proxy }: Member): void {
    const { backend, broker, folder, kind, script } = this.#parts;
    const own = this.#processes.get(name) ?? [];
    this.#processes.set(name, own);
    const file = join(folder, `${name}-${own.length}.log`);
    const log = openSync(file, "a");
    const orders: Orders = {
      kind,
      name,
      broker: through(broker.url, proxy.port),
      // Where broker and backend are one server, its link breaks with the other.
      backend: kind === "redis" ? through(backend, proxy.port) : backend,
      queue: QUEUE,
      concurrency: 4,
      log: 3,
      every: SAMPLE,
    };
    const gc = name === this.members[0].name && own.length === 0 ? ["--expose-gc"] : [];
    const child = spawn(process.execPath, [...gc, script, JSON.stringify(orders)], {
      stdio: ["pipe", "inherit", "inherit", log],
    });
    closeSync(log);
    const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const life: Process = { child, tail: new Tail(file), exit, killedAt: undefined };
    own.push(life);
    void exit.then(() => {
      if (this.#over || life.killedAt !== undefined) return;
      console.error(`${name} ended by itself: ${child.signalCode ?? child.exitCode}`);
    });
  }
}
