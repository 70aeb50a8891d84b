import { AMQPClient } from "@cloudamqp/amqp-client";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { ROOT } from "../support/celeriac.ts";
import { startChild } from "../support/child.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type Relay, startRelay } from "../support/relay.ts";
import { installNodes, NODES, OURS } from "./nodes.ts";
import { fixtures, LIBRARY, MANIFEST, Packed, PEERS } from "./package.ts";
import { output, type Run } from "./run.ts";

const BIN = `${ROOT}node_modules/.bin/`;
const QUEUE = `installed-${process.pid}`;

const FILES = {
  "run.ts": `import { Celery } from "celeriac";
import { transports } from "celeriac/url";

export const app: Celery = new Celery("installed", { transports, include: [() => import("./tasks.ts")] });
app.configFromObject({ broker_url: process.env["BROKER_URL"], result_backend: process.env["RESULT_BACKEND"] });
`,
  "tasks.ts": `import { app } from "./run.ts";

export const add = app.task("installed.add", { params: ["x", "y"] }, (x: number, y: number): number => x + y);
`,
};

/** How a runtime starts a script, and the command as its users start it. */
interface Runtime {
  readonly script: readonly [string, ...string[]];
  readonly command: readonly [string, ...string[]];
  /** What `--version` begins with. */
  readonly version: string;
}

/** The Node that runs the tests. */
const HERE = `node ${OURS}`;

const RUNTIMES = [HERE, ...NODES.map((version) => `node ${version}`), "bun", "deno"];

let gateway: PrivateGateway;
let relay: Relay;
let redis: Redis;
let packed: Packed;
/** With the libraries of all adapters, and with none. */
let app: string;
let bare: string;
let runtimes: ReadonlyMap<string, Runtime>;

function node(path: string, version: string, command?: Runtime["command"]): Runtime {
  return {
    script: [path],
    // The shebang would start the first node of the PATH.
    command: command ?? [path, "node_modules/celeriac/dist/src/cli/bin.js"],
    version,
  };
}

beforeAll(async () => {
  const { hostname: host, port } = new URL(inject("amqp"));
  relay = await startRelay({ host, port: Number(port) });
  gateway = await startGateway({ redis: inject("redis") });
  redis = new Redis(inject("redis"));
  const [nodes, made] = await Promise.all([installNodes(), Packed.make()]);
  packed = made;
  const peers = PEERS.map((name) => `${name}@${MANIFEST.devDependencies[name]}`);
  [app, bare] = await Promise.all([packed.install("app", peers, FILES), packed.install("bare", [])]);
  fixtures(app, "entries.mjs", "installed.mjs");
  fixtures(bare, "entries.mjs", "missing.mjs", "cli.mjs");
  runtimes = new Map([
    ...[...nodes].map(([version, path]) => [`node ${version}`, node(path, `v${version}.`)] as const),
    [HERE, node(process.execPath, process.version, ["npx", "celeriac"])],
    ["bun", { script: [`${BIN}bun`], command: [`${BIN}bun`, "x", "--bun", "celeriac"], version: "1." }],
    ["deno", {
      script: [`${BIN}deno`, "run", "-A"],
      command: [`${BIN}deno`, "run", "-A", "npm:celeriac"],
      version: "deno ",
    }],
  ]);
}, 240_000);

afterAll(async () => {
  await Promise.all([relay[Symbol.asyncDispose](), gateway[Symbol.asyncDispose]()]);
  packed[Symbol.dispose]();
  await redis.del(...RUNTIMES.map((runtime) => `${QUEUE}-${runtime}-script`));
  redis.disconnect();
  const connection = await new AMQPClient(inject("amqp")).connect();
  const channel = await connection.channel();
  for (const runtime of RUNTIMES) {
    for (const use of ["command", "script"]) await channel.queueDelete(`${QUEUE}-${runtime}-${use}`);
  }
  await connection.close();
});

/** The last line that a script wrote. */
async function report(script: Runtime["script"], file: string, options: Run): Promise<unknown> {
  const [program, ...before] = script;
  const text = await output(program, [...before, file], {
    ...options,
    env: { ENTRIES: JSON.stringify(LIBRARY), ...options.env },
  });
  return JSON.parse(text.split("\n").at(-1) ?? "");
}

/** What each entry's source exports. */
async function names(): Promise<Record<string, string[]>> {
  const found = LIBRARY.map(async (entry) =>
    [entry, Object.keys(await import(entry) as object).sort()] as const
  );
  return Object.fromEntries(await Promise.all(found));
}

describe.each(RUNTIMES)("the installed package on %s", (name) => {
  const runtime = (): Runtime => {
    const found = runtimes.get(name);
    if (found === undefined) throw new Error(`no runtime ${name}`);
    return found;
  };

  test("is run by that runtime", async () => {
    const { script: [program], version } = runtime();
    expect(await output(program, ["--version"], { cwd: app })).toMatch(new RegExp(`^${version}`));
  });

  test("imports by every entry, makes a round trip in memory, and one by each transport", async () => {
    const queue = `${QUEUE}-${name}-script`;
    const env = {
      AMQP_URL: inject("amqp"),
      REDIS_URL: inject("redis"),
      RELAY_URL: relay.url,
      HTTP_URL: gateway.url,
      HTTP_TOKEN: gateway.token,
      QUEUE: queue,
    };
    expect(await report(runtime().script, "installed.mjs", { cwd: app, env })).toEqual({
      names: await names(),
      added: [],
      memory: 5,
      servers: 5,
      overWebSocket: 5,
      overHttp: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    expect(await redis.llen(queue)).toBe(1);
  }, 60_000);

  test("runs the command when its entry is imported", async () => {
    const [program, ...before] = runtime().script;
    const text = await output(program, [...before, "cli.mjs", "--version"], { cwd: bare });
    expect(text).toContain(MANIFEST.version);
  }, 60_000);

  test("imports without any library beside it, and the first call says which one to install", async () => {
    const missing = (library: string): object => ({
      name: "ConfigurationError",
      code: "package-missing",
      hint: expect.stringContaining(`npm install ${library}`) as string,
    });
    expect(await report(runtime().script, "missing.mjs", { cwd: bare })).toEqual({
      names: await names(),
      added: [],
      failures: {
        amqpBroker: missing("@cloudamqp/amqp-client"),
        amqpPublisher: missing("@cloudamqp/amqp-client"),
        redisBackend: missing("ioredis"),
        upstashBroker: missing("@upstash/redis"),
        upstashBackend: missing("@upstash/redis"),
      },
    });
  }, 60_000);

  test("runs a worker, a call and a result of a two-file TypeScript app with one identity", async () => {
    const [program, ...before] = runtime().command;
    const env = { BROKER_URL: inject("amqp"), RESULT_BACKEND: inject("redis") };
    const queue = `${QUEUE}-${name}-command`;
    const run = [...before, "-A", "./run.ts"];
    await using worker = startChild(program, [...run, "worker", "-Q", queue, "-l", "info"], {
      cwd: app,
      env,
    });
    await worker.saw(/ ready\./);
    expect(worker.log).toContain(". installed.add");
    const call = [...run, "call", "installed.add", "--args", "[2, 3]", "--queue", queue];
    const id = await output(program, call, { cwd: app, env });
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await output(program, [...run, "result", id, "--timeout", "20"], { cwd: app, env })).toBe("5");
    await worker.saw(new RegExp(`Task installed\\.add\\[${id}\\] succeeded in [0-9.]+s: 5`));
    await worker.stop();
  }, 60_000);
});

describe("the checkout", () => {
  test.each(["npx celeriac", "npx bunx --bun celeriac", "npx deno run -A npm:celeriac"])(
    "answers to %s --version",
    async (line) => {
      const [program = "", ...args] = line.split(" ");
      // The first npx in a checkout links it into npm's cache and builds it on the way.
      expect(await output(program, [...args, "--version"], { cwd: ROOT })).toContain(MANIFEST.version);
    },
    60_000,
  );
});
