import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Copy, ROOT } from "./copy.ts";

interface Plant {
  readonly what: string;
  readonly file: string;
  readonly code: string;
  /** Which machine must refuse it, and by which rule. */
  readonly by: "oxlint" | "tsc";
  readonly rule: string;
  readonly says?: string;
}

const IMPORTS = "eslint(no-restricted-imports)";
const GLOBALS = "eslint(no-restricted-globals)";
const PROPERTIES = "eslint(no-restricted-properties)";
const CALLABLE = "export function f(): unknown { return (BODY); }";

function imports(what: string, file: string, from: string, says: string): Plant {
  return {
    what,
    file,
    code: `import { planted } from "${from}"; export const a: number = planted;`,
    by: "oxlint",
    rule: IMPORTS,
    says,
  };
}

function ambient(file: string, body: string, rule: string): Plant {
  return {
    what: `${body} in ${file.split("/").slice(0, 2).join("/")}`,
    file,
    code: CALLABLE.replace("BODY", body),
    by: "oxlint",
    rule,
  };
}

function air(what: string, file: string, code: string, rule: string): Plant {
  return { what, file, code, by: "tsc", rule };
}

// What the plants import, so that nothing is refused only because it does not exist.
const GROUND = [
  "src/protocol",
  "src/result",
  "src/canvas",
  "src/producer",
  "src/app",
  "src/events",
  "src/control",
  "src/worker",
  "src/beat",
  "src/cli",
  "src/testing",
  "src/gateway",
  "adapters/amqp",
  "adapters/redis",
  "adapters/memory",
].map((room) => `${room}/planted.ts`);

const LOWEST = "lib is the lowest floor";
const NEVER = "the core never sees an adapter";
const BELOW = "adapters see the contracts, protocol, lib and errors";
const OTHER = "adapters never see each other";

const PLANTS: readonly Plant[] = [
  imports("lib imports protocol", "src/lib/p1.ts", "../protocol/planted.ts", LOWEST),
  imports("lib imports the broker contract", "src/lib/p2.ts", "../broker.ts", LOWEST),
  imports(
    "protocol imports the broker contract",
    "src/protocol/p3.ts",
    "../broker.ts",
    "protocol sees lib and errors",
  ),
  imports("protocol imports app", "src/protocol/p4.ts", "../app/planted.ts", "protocol sees lib and errors"),
  imports(
    "protocol imports worker by a round way",
    "src/protocol/p5.ts",
    "./../../src/worker/planted.ts",
    "protocol sees lib and errors",
  ),
  imports("result imports app", "src/result/p6.ts", "../app/planted.ts", "Sender"),
  imports("canvas imports worker", "src/canvas/p7.ts", "../worker/planted.ts", "Sender"),
  imports("result imports producer", "src/result/p90.ts", "../producer/planted.ts", "Sender"),
  imports("protocol imports producer", "src/protocol/p91.ts", "../producer/planted.ts", "protocol sees lib"),
  imports(
    "producer imports app",
    "src/producer/p92.ts",
    "../app/planted.ts",
    "producer sees the floors below the app",
  ),
  imports("producer imports an adapter", "src/producer/p93.ts", "../../adapters/redis/planted.ts", NEVER),
  imports(
    "producer imports an npm package",
    "src/producer/p94.ts",
    "@upstash/redis",
    "the core has no dependency",
  ),
  imports("an adapter imports producer", "adapters/redis/p95.ts", "../../src/producer/planted.ts", BELOW),
  imports("app imports worker", "src/app/p8.ts", "../worker/planted.ts", "app sees the floors below it"),
  imports("app imports control", "src/app/p9.ts", "../control/planted.ts", "app sees the floors below it"),
  imports(
    "a folder inside app imports events",
    "src/app/deep/p10.ts",
    "../../events/planted.ts",
    "app sees the floors below it",
  ),
  imports("events imports worker", "src/events/p11.ts", "../worker/planted.ts", "app and below"),
  imports("control imports beat", "src/control/p12.ts", "../beat/planted.ts", "app and below"),
  imports(
    "worker imports beat",
    "src/worker/p13.ts",
    "../beat/planted.ts",
    "worker sees the floors below it",
  ),
  imports("worker imports cli", "src/worker/p14.ts", "../cli/planted.ts", "worker sees the floors below it"),
  imports(
    "beat imports testing",
    "src/beat/p15.ts",
    "../testing/planted.ts",
    "beat sees the floors below it",
  ),
  imports("core imports an adapter", "src/app/p16.ts", "../../adapters/memory/planted.ts", NEVER),
  imports("core imports an npm package", "src/worker/p17.ts", "commander", "the core has no dependency"),
  imports("core imports a module of Node", "src/worker/p18.ts", "node:fs", "the core has no dependency"),
  imports("core imports the package by name", "src/app/p19.ts", "celeriac", "imports by path"),
  imports("an adapter imports app", "adapters/amqp/p20.ts", "../../src/app/planted.ts", BELOW),
  imports("an adapter imports result", "adapters/redis/p21.ts", "../../src/result/planted.ts", BELOW),
  imports(
    "the memory adapter imports worker",
    "adapters/memory/rabbit/p22.ts",
    "../../../src/worker/planted.ts",
    BELOW,
  ),
  imports("amqp imports redis", "adapters/amqp/p23.ts", "../redis/planted.ts", OTHER),
  imports("redis imports memory", "adapters/redis/p24.ts", "../memory/planted.ts", OTHER),
  imports("memory imports amqp", "adapters/memory/p25.ts", "../../adapters/amqp/planted.ts", OTHER),
  imports("an adapter imports the house", "adapters/redis/p26.ts", "../url.ts", OTHER),
  imports(
    "an adapter takes timers from Node",
    "adapters/amqp/p27.ts",
    "node:timers/promises",
    "time and chance",
  ),
  imports(
    "the CLI imports a test",
    "src/cli/p28.ts",
    "../../test/support/wait.ts",
    "never sees what does not",
  ),
  imports("worker imports the gateway", "src/worker/p90.ts", "../gateway/planted.ts", "the floors below it"),
  imports("an adapter imports the gateway", "adapters/redis/p91.ts", "../../src/gateway/planted.ts", BELOW),
  imports("the gateway imports app", "src/gateway/p92.ts", "../app/planted.ts", "nothing of tasks"),
  imports("the gateway imports a test", "src/gateway/p93.ts", "../../test/support/wait.ts", "what does not"),
  imports("testing imports the CLI", "src/testing/p96.ts", "../cli/planted.ts", "do not see each other"),
  imports(
    "testing imports a real broker",
    "src/testing/p97.ts",
    "../../adapters/amqp/planted.ts",
    "memory pair",
  ),
  imports("testing imports a test runner", "src/testing/p98.ts", "vitest", "no library beside it"),
  imports("testing imports a module of Node", "src/testing/p99.ts", "node:assert", "no library beside it"),
  imports("testing imports a test", "src/testing/p100.ts", "../../test/support/wait.ts", "what does not"),
  imports("worker imports testing", "src/worker/p101.ts", "../testing/planted.ts", "the floors below it"),
  imports("an adapter imports testing", "adapters/memory/p102.ts", "../../src/testing/planted.ts", BELOW),
  {
    what: "dynamic import() of a forbidden room",
    file: "src/protocol/p30.ts",
    code: 'export function f(): Promise<unknown> { return import("../app/planted.ts"); }',
    by: "oxlint",
    rule: IMPORTS,
  },
  {
    what: "export from a forbidden room",
    file: "src/protocol/p31.ts",
    code: 'export { planted } from "../app/planted.ts";',
    by: "oxlint",
    rule: IMPORTS,
  },
  {
    what: "export * from a forbidden room",
    file: "src/protocol/p32.ts",
    code: 'export * from "../app/planted.ts";',
    by: "oxlint",
    rule: IMPORTS,
  },
  {
    what: "import type from a forbidden room",
    file: "src/protocol/p33.ts",
    code: 'import type { Planted } from "../app/planted.ts"; export type A = Planted;',
    by: "oxlint",
    rule: IMPORTS,
  },
  {
    what: "a type expression import() of a forbidden room",
    file: "src/protocol/p34.ts",
    code: 'export type A = import("../app/planted.ts").Planted;',
    by: "oxlint",
    rule: "typescript(consistent-type-imports)",
  },
  {
    what: "the front door names an adapter",
    file: "mod.ts",
    code: 'export { planted } from "./adapters/memory/planted.ts";',
    by: "oxlint",
    rule: IMPORTS,
    says: "names no adapter",
  },
  {
    what: "the front door names the worker",
    file: "mod.ts",
    code: 'export { planted } from "./src/worker/planted.ts";',
    by: "oxlint",
    rule: IMPORTS,
    says: "app and below",
  },
  {
    what: "the broker contract imports app",
    file: "src/broker.ts",
    code: 'export { planted } from "./app/planted.ts";',
    by: "oxlint",
    rule: IMPORTS,
    says: "the contracts see",
  },
  {
    what: "errors import protocol",
    file: "src/errors.ts",
    code: 'export { planted } from "./protocol/planted.ts";',
    by: "oxlint",
    rule: IMPORTS,
    says: "errors is the lowest floor",
  },
  {
    what: "a cycle",
    file: "src/app/p40.ts",
    code: 'import { b } from "./p41.ts"; export function a(): number { return b(); }',
    by: "oxlint",
    rule: "import(no-cycle)",
  },
  {
    what: "the other half of a cycle",
    file: "src/app/p41.ts",
    code: 'import { a } from "./p40.ts"; export function b(): number { return a(); }',
    by: "oxlint",
    rule: "import(no-cycle)",
  },
  ambient("src/app/p50.ts", "Date.now()", PROPERTIES),
  ambient("src/app/p51.ts", "Math.random()", PROPERTIES),
  ambient("src/app/p52.ts", "setTimeout(() => {}, 1)", GLOBALS),
  ambient("src/app/p53.ts", "crypto.randomUUID()", GLOBALS),
  ambient("src/app/p54.ts", "performance.now()", GLOBALS),
  ambient("src/app/p55.ts", "queueMicrotask(() => {})", GLOBALS),
  ambient("src/app/p56.ts", "new WebSocket('ws://x')", GLOBALS),
  ambient("src/app/p57.ts", "globalThis", GLOBALS),
  ambient("src/app/p58.ts", "AbortSignal.timeout(1)", PROPERTIES),
  ambient("src/app/p59.ts", "Buffer.from('x')", GLOBALS),
  ambient("src/app/p60.ts", "process.pid", GLOBALS),
  ambient("src/cli/p61.ts", "process.argv", GLOBALS),
  ambient("src/gateway/p62.ts", "setTimeout(() => {}, 1)", GLOBALS),
  ambient("src/testing/p63.ts", "setTimeout(() => {}, 1)", GLOBALS),
  ambient("src/testing/p64.ts", "Date.now()", PROPERTIES),
  ambient("src/testing/p65.ts", "crypto.randomUUID()", GLOBALS),
  ambient("adapters/amqp/p70.ts", "Date.now()", PROPERTIES),
  ambient("adapters/redis/p71.ts", "Math.random()", PROPERTIES),
  ambient("adapters/memory/p72.ts", "setTimeout(() => {}, 1)", GLOBALS),
  ambient("adapters/amqp/p73.ts", "setInterval(() => {}, 1)", GLOBALS),
  ambient("adapters/redis/p74.ts", "crypto.randomUUID()", GLOBALS),
  ambient("adapters/amqp/p75.ts", "performance.now()", GLOBALS),
  ambient("adapters/amqp/p76.ts", "process.nextTick(() => {})", PROPERTIES),
  {
    what: "a floating promise",
    file: "src/app/p80.ts",
    code: "export async function g(): Promise<void> {} export function f(): void { g(); }",
    by: "oxlint",
    rule: "typescript(no-floating-promises)",
  },
  {
    what: "a promise where a condition is meant",
    file: "adapters/amqp/p81.ts",
    code:
      "export async function g(): Promise<boolean> { return true; } export function f(): number { return g() ? 1 : 2; }",
    by: "oxlint",
    rule: "typescript(no-misused-promises)",
  },
  {
    what: "any",
    file: "src/app/p82.ts",
    code: "export function f(a: any): unknown { return a; }",
    by: "oxlint",
    rule: "typescript(no-explicit-any)",
  },
  // tsc names one importer of a file only: each of these two has a file of its own to import.
  air(
    "core imports an adapter",
    "src/app/t1.ts",
    'export { planted } from "../../adapters/amqp/planted.ts";',
    "TS6307",
  ),
  air(
    "core imports an adapter dynamically",
    "src/app/t2.ts",
    'export function f(): Promise<unknown> { return import("../../adapters/redis/planted.ts"); }',
    "TS6307",
  ),
  air("Buffer in core", "src/app/t3.ts", CALLABLE.replace("BODY", "Buffer.from('x')"), "TS2591"),
  air("process in core", "src/app/t4.ts", CALLABLE.replace("BODY", "process.pid"), "TS2591"),
  air("a module of Node in core", "src/app/t5.ts", 'export { readFileSync } from "node:fs";', "TS2591"),
  air(
    "what Node 20 lacks",
    "src/app/t6.ts",
    CALLABLE.replace("BODY", "Promise.withResolvers<void>()"),
    "TS2550",
  ),
  air("Buffer in testing", "src/testing/t9.ts", CALLABLE.replace("BODY", "Buffer.from('x')"), "TS2591"),
  air(
    "a module of Node in testing",
    "src/testing/t10.ts",
    'export { readFileSync } from "node:fs";',
    "TS2591",
  ),
  air("an enum", "src/app/t7.ts", "export enum A { B }", "TS1294"),
  air("an export without a type", "src/app/t8.ts", "export const f = () => Math.max(1, 2);", "TS9007"),
];

interface Finding {
  readonly file: string;
  readonly rule: string;
  readonly text: string;
}

const run = promisify(execFile);
let copy: Copy;
let findings: readonly Finding[];

/** Both tools end with an exit code when they find something; what they wrote is what counts. */
async function output(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args, { cwd: copy.folder, maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

async function lint(): Promise<Finding[]> {
  const text = await output(join(ROOT, "node_modules/.bin/oxlint"), [
    "--disable-nested-config",
    "-f",
    "json",
  ]);
  const { diagnostics } = JSON.parse(text) as {
    diagnostics: { filename: string; code: string; message: string; help?: string }[];
  };
  return diagnostics.map(({ filename, code, message, help }) => ({
    file: filename,
    rule: code,
    text: `${message} ${help ?? ""}`,
  }));
}

async function types(project: string): Promise<Finding[]> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const text = await output(process.execPath, [tsc, "-p", project, "--pretty", "false"]);
  return [...text.matchAll(/^(\S+?)\(\d+,\d+\): error (TS\d+): (.*)$/gm)].map((
    [, file = "", rule = "", message = ""],
  ) => ({ file, rule, text: message }));
}

beforeAll(async () => {
  copy = new Copy();
  for (const file of GROUND) {
    copy.append(file, "export const planted: number = 1;\nexport type Planted = number;\n");
  }
  for (const { file, code } of PLANTS) copy.append(file, `${code}\n`);
  findings = (await Promise.all([lint(), types("."), types("src/testing")])).flat();
});

afterAll(() => copy[Symbol.dispose]());

test.each(PLANTS.map((plant) => [plant.what, plant.by, plant] as const))(
  "%s: %s refuses it",
  (_what, _by, plant) => {
    const found = findings.filter(({ file }) => file === plant.file);
    expect(found.map(({ rule }) => rule)).toContain(plant.rule);
    if (plant.says !== undefined) {
      expect(found.filter(({ rule }) => rule === plant.rule).map(({ text }) => text).join("\n")).toContain(
        plant.says,
      );
    }
  },
);

test("nothing but the plants is refused", () => {
  const planted = new Set(PLANTS.map(({ file }) => file));
  expect(findings.filter(({ file }) => !planted.has(file))).toEqual([]);
});
