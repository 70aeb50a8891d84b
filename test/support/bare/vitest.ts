/**
 * What stands for "vitest" in a bundle of test files for runtimes that vitest's own runner cannot enter: its collector and its
 * matchers, which need the web's names only.
 *
 * @module
 */
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  customMatchers,
  type ExpectStatic,
  getState,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import { type File, startTests, type Task, type VitestRunner } from "@vitest/runner";
import * as chai from "chai";

export { afterAll, afterEach, beforeAll, beforeEach, describe, test } from "@vitest/runner";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

const ambient = globalThis as unknown as Record<symbol, object>;

/** vitest's `expect`, without snapshots and polling. */
export const expect = ((value: unknown, message?: string) => {
  setState({ assertionCalls: getState(expect).assertionCalls + 1 }, expect);
  return chai.expect(value, message);
}) as unknown as ExpectStatic;
Object.assign(expect, chai.expect, ambient[ASYMMETRIC_MATCHERS_OBJECT], {
  getState: () => getState(expect),
  setState: (state: object) => setState(state, expect),
});
setState({ assertionCalls: 0, testPath: "", currentTestName: "" }, expect);
ambient[GLOBAL_EXPECT as symbol] = expect;
const extend = (matchers: object): void =>
  (chai.expect as unknown as { extend(to: unknown, matchers: object): void }).extend(expect, matchers);
extend(customMatchers);
Object.assign(expect, { extend });

const NEVER = 0;

let provided: Readonly<Record<string, unknown>> = {};

/** What the bundle's host gave to `runFiles`. */
export function inject(name: string): unknown {
  if (!(name in provided)) throw new Error(`nothing is provided as ${name}`);
  return provided[name];
}

/** What came of one file. */
export interface Report {
  readonly file: string;
  readonly passed: number;
  /** Each test that did not pass, by its full name, or the file itself; and why. */
  readonly failed: readonly { readonly name: string; readonly why: string }[];
}

/** Runs test files, given as functions that load them, one after the other. */
export async function runFiles(
  files: Readonly<Record<string, () => Promise<unknown>>>,
  values: Readonly<Record<string, unknown>>,
): Promise<Report[]> {
  provided = values;
  const runner: VitestRunner = {
    config: {
      root: "",
      setupFiles: [],
      name: "bare",
      passWithNoTests: false,
      testNamePattern: undefined,
      allowOnly: false,
      sequence: { seed: 1, hooks: "stack", setupFiles: "list" },
      chaiConfig: undefined,
      maxConcurrency: 1,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      retry: NEVER,
      includeTaskLocation: false,
      tags: [],
      tagsFilter: undefined,
      strictTags: false,
    },
    importFile: (path) => files[path]?.(),
  };
  const ended = await startTests(Object.keys(files), runner);
  return ended.map((file) => ({
    file: file.filepath,
    passed: passed(file),
    failed: failures(file).map(({ name, why }) => ({ name: `${file.filepath} > ${name}`, why })),
  }));
}

function passed(task: Task | File): number {
  if ("tasks" in task) return task.tasks.reduce((sum, one) => sum + passed(one), 0);
  return task.result?.state === "pass" ? 1 : 0;
}

function failures(task: File | Task): Report["failed"][number][] {
  const below = "tasks" in task ? task.tasks.flatMap(failures) : [];
  const errors = task.result?.errors ?? [];
  // A suite fails with its tests; only what happened to itself is its own.
  if (task.result?.state === "pass" || ("tasks" in task && below.length > 0 && errors.length === 0)) {
    return below;
  }
  const why = errors.map(({ name, message, stack }) => `${name}: ${message}\n${stack ?? ""}`).join("\n");
  return [
    { name: task.fullTestName ?? task.name, why: why || `it is ${task.result?.state ?? task.mode}` },
    ...below,
  ];
}
