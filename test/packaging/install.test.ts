import { AMQPClient } from "@cloudamqp/amqp-client";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { ROOT } from "../support/celeriac.ts";
import { startChild } from "../support/child.ts";

const BUN = `${ROOT}node_modules/.bin/bun`;
const DENO = `${ROOT}node_modules/.bin/deno`;
const QUEUE = `installed-${process.pid}`;

const FILES = {
  // No "type": most users have none, and a loader of TypeScript must cope.
  "package.json": '{ "private": true }\n',
  "run.ts": `import { Celery } from "celeriac";
import { transports } from "celeriac/url";

export const app: Celery = new Celery("installed", { transports, include: [() => import("./tasks.ts")] });
app.configFromObject({ broker_url: process.env["BROKER_URL"], result_backend: process.env["RESULT_BACKEND"] });
`,
  "tasks.ts": `import { app } from "./run.ts";

export const add = app.task("installed.add", { params: ["x", "y"] }, (x: number, y: number): number => x + y);
`,
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      strict: true,
      target: "ES2022",
      module: "NodeNext",
      lib: ["ES2023", "ESNext.Disposable"],
      types: ["node"],
      typeRoots: [`${ROOT}node_modules/@types`],
      skipLibCheck: false,
      noEmit: true,
      allowImportingTsExtensions: true,
    },
    include: ["*.ts"],
  }),
};

let folder: string;
let app: string;

interface Run {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs to the end and gives stdout; fails with all that was written. */
async function output(program: string, args: readonly string[], options: Run = {}): Promise<string> {
  await using child = startChild(program, args, { cwd: app, ...options });
  let text = "";
  child.onLine((line) => text += `${line}\n`);
  const end = await child.end;
  if (end !== "exit 0") throw new Error(`${program} ${args.join(" ")}: ${end}\n${child.log}`);
  return text.trim();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "celeriac-install-"));
  app = join(folder, "app");
  await output("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: ROOT });
  const tarball = readdirSync(folder).find((file) => file.endsWith(".tgz")) ?? "";
  await output("mkdir", [app], { cwd: folder });
  for (const [file, text] of Object.entries(FILES)) writeFileSync(join(app, file), text);
  const { devDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as {
    devDependencies: Record<string, string>;
  };
  const peers = ["@cloudamqp/amqp-client", "ioredis"].map((name) => `${name}@${devDependencies[name]}`);
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"];
  await output("npm", ["install", ...quiet, join(folder, tarball), ...peers]);
}, 120_000);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  const connection = await new AMQPClient(inject("amqp")).connect();
  const channel = await connection.channel();
  for (const runtime of ["node", "bun", "deno"]) await channel.queueDelete(`${QUEUE}-${runtime}`);
  await connection.close();
});

/** The README's lines, after `celeriac` was installed. */
const LINES = {
  node: ["npx", "celeriac"],
  bun: [BUN, "x", "--bun", "celeriac"],
  deno: [DENO, "run", "-A", "npm:celeriac"],
} as const satisfies Record<string, readonly [string, ...string[]]>;

describe.each(Object.entries(LINES))("the installed package on %s", (runtime, [program, ...before]) => {
  test("runs a worker, a call and a result of a two-file TypeScript app with one identity", async () => {
    const env = { BROKER_URL: inject("amqp"), RESULT_BACKEND: inject("redis") };
    const queue = `${QUEUE}-${runtime}`;
    await using worker = startChild(program, [
      ...before,
      "-A",
      "./run.ts",
      "worker",
      "-Q",
      queue,
      "-l",
      "info",
    ], { cwd: app, env });
    await worker.saw(/ ready\./);
    expect(worker.log).toContain(". installed.add");
    const call = ["-A", "./run.ts", "call", "installed.add", "--args", "[2, 3]", "--queue", queue];
    const id = await output(program, [...before, ...call], { env });
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await output(program, [...before, "-A", "./run.ts", "result", id, "--timeout", "20"], { env }))
      .toBe("5");
    await worker.saw(new RegExp(`Task installed\\.add\\[${id}\\] succeeded in [0-9.]+s: 5`));
    await worker.stop();
  }, 60_000);
});

test("the installed types serve a strict project that checks its libraries", async () => {
  await output(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, "-p", app]);
}, 60_000);

describe("the checkout", () => {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { version: string };

  test.each(["npx celeriac", "npx bunx --bun celeriac", "npx deno run -A npm:celeriac"])(
    "answers to %s --version",
    async (line) => {
      const [program = "", ...args] = line.split(" ");
      // The first npx in a checkout links it into npm's cache and builds it on the way.
      expect(await output(program, [...args, "--version"], { cwd: ROOT })).toContain(version);
    },
    60_000,
  );
});
