/**
 * Every contract test on real servers: green as the adapter is, red by each saboteur that breaks what it promises.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../../house/copy.ts";
import { bundle } from "../../mutants/bundle.ts";
import type { Edit } from "../../mutants/mutants.ts";
import { planOf, type Trial } from "./plan.ts";
import type { Saboteur, SuiteName } from "./saboteur.ts";
import { type Adapters, needsServer, NoEnd, runTest, type Servers, type Setting } from "./suites.ts";

/** How many tests run at once. Most of the time they wait. */
const AT_ONCE = 4;

/** What a saboteur breaks may need a moment that one run does not meet, and a busy machine may turn a green test red. */
const TRIES = 3;

/** One test of one suite turned red. */
export interface Red {
  readonly suite: SuiteName;
  readonly test: string;
  readonly saboteur: string;
  /** The first line of what it failed with. */
  readonly said: string;
}

/** What was seen. */
export interface Found {
  readonly greens: number;
  /** How often a test was run once more, as it was green with its saboteur: what that breaks may not have been met. */
  readonly again: number;
  readonly reds: readonly Red[];
  /** What is wrong, in sentences; empty where all is well. */
  readonly wrong: readonly string[];
}

/** What a hunt is told. */
export interface HuntOptions {
  readonly servers: Servers;
  readonly saboteurs: readonly Saboteur[];
  /** Only suites, tests and saboteurs of which one of these is a part. */
  readonly only?: readonly string[];
  readonly until: number;
  readonly say: (text: string) => void;
}

/** See the module. */
export async function hunt({ servers, saboteurs, only = [], until, say }: HuntOptions): Promise<Found> {
  await using workshop = new Workshop(servers);
  const { places, trials, gaps } = planOf(saboteurs);
  const wrong: string[] = [...gaps];
  const chosen = trials.filter(({ suite, test, saboteur }) =>
    only.every((part) => [suite, test, saboteur?.name ?? "green"].some((text) => text.includes(part)))
  );
  const reds: Red[] = [];
  let greens = 0;
  let again = 0;
  let done = 0;
  const one = async ({ suite, test, saboteur }: Trial): Promise<void> => {
    if (performance.now() > until) return void wrong.push("the time is over");
    const setting = await workshop.setting(saboteur);
    let error: unknown;
    for (let tries = 0; tries < (saboteur === undefined ? 1 : TRIES); tries++) {
      if (tries > 0) again++;
      error = await runTest(suite, test, setting);
      if ((error !== undefined) === (saboteur !== undefined)) break;
    }
    say(`${++done} of ${chosen.length}`);
    const what = `${suite}: ${test}: ${saboteur === undefined ? "as it is" : `"${saboteur.name}"`}`;
    if (saboteur === undefined) {
      if (error === undefined) greens++;
      else wrong.push(`${what}: ${told(error)}`);
    } else if (error === undefined) wrong.push(`${what} lives`);
    else if (!judged(error)) wrong.push(`${what} is no verdict: ${told(error)}`);
    else reds.push({ suite, test, saboteur: saboteur.name, said: told(error) });
  };
  await several(chosen.filter(({ test }) => !needsServer(test)), AT_ONCE, one);
  await several(chosen.filter(({ test }) => needsServer(test)), 1, one);
  if (only.length === 0) {
    for (const { suite, test } of places) {
      if (!reds.some((red) => red.suite === suite && red.test === test)) {
        wrong.push(`${suite}: ${test} was never red`);
      }
    }
  }
  return { greens, reds, again, wrong: [...new Set(wrong)] };
}

/** A failure of the test, not of the saboteur nor of the clearing after the test. */
function judged(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const broken = ["TypeError", "ReferenceError", "RangeError", "SyntaxError"].includes(error.name);
  return error instanceof NoEnd || !broken && !/\b(?:Bench|Archive)\.clear\b/.test(error.stack ?? "");
}

function told(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // What differs from run to run would make each record differ.
  const [line = ""] = text.split("\n");
  return line.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>").slice(0, 120);
}

async function several<T>(list: readonly T[], count: number, run: (one: T) => Promise<void>): Promise<void> {
  const left = list.values();
  const work = async (): Promise<void> => {
    for (const one of left) await run(one);
  };
  await Promise.all(Array.from({ length: count }, work));
}

/** Bundles the adapters, with and without mutants, in a folder of its own. */
class Workshop implements AsyncDisposable {
  readonly #servers: Servers;
  // Inside the project: the adapters ask for their clients.
  readonly #folder: string = mkdtempSync(join(ROOT, "node_modules", ".red-"));
  readonly #made: Map<readonly Edit[], Promise<Adapters>> = new Map();
  static readonly #AS_IT_IS: readonly Edit[] = [];

  constructor(servers: Servers) {
    this.#servers = servers;
  }

  async setting(saboteur: Saboteur | undefined): Promise<Setting> {
    const { edits = Workshop.#AS_IT_IS, twist } = saboteur ?? {};
    let adapters = this.#made.get(edits);
    if (adapters === undefined) this.#made.set(edits, adapters = this.#make(edits));
    return { servers: this.#servers, adapters: await adapters, twist };
  }

  async #make(edits: readonly Edit[]): Promise<Adapters> {
    const file = join(this.#folder, `${this.#made.size}.mjs`);
    await bundle(edits, file, "test/long/red/adapters.ts");
    return await import(pathToFileURL(file).href) as Adapters;
  }

  [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    return Promise.resolve();
  }
}
