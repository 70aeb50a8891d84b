/**
 * How large a bundle is that holds us, and what it may hold. The README's table of sizes is held to what is measured here.
 *
 * @module
 */
import { build, type Metafile } from "esbuild";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";

/** The adapters' libraries, which the user installs. */
const LIBRARIES = ["@cloudamqp/amqp-client", "@upstash/redis", "ioredis", "ws"];

interface Bundle {
  /** Bytes after minify and gzip. */
  readonly size: number;
  /** The files of ours that left code in it. */
  readonly files: readonly string[];
}

/** Bundles source for a runtime that has the web's names only; a module of Node is an error there. */
async function bundle(code: string, external: readonly string[] = []): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: ROOT, loader: "ts" },
    absWorkingDir: ROOT,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    conditions: ["workerd"],
    target: "es2022",
    legalComments: "none",
    logLevel: "silent",
    external: [...external],
  });
  const [file] = outputFiles;
  return { size: gzipSync(file?.contents ?? "", { level: 9 }).length, files: filesIn(metafile) };
}

function filesIn({ outputs }: Metafile): string[] {
  return Object.values(outputs).flatMap(({ inputs, imports }) => [
    ...Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path),
    ...imports.map(({ path }) => path),
  ]);
}

const SEND = `sendTask("tasks.add", { args: [2, 3] })`;
const PRODUCER = `import { Producer, resultOf } from "./src/producer/mod.ts";`;
const CELERY = `import { Celery } from "./mod.ts";`;
const HTTP = `import { upstashBackend, upstashBroker, upstashPublisher } from "./adapters/redis/http.ts";`;
const WEBSOCKET = `import { amqpBroker, amqpPublisher } from "./adapters/amqp/websocket.ts"; ${HTTP}`;

/** The first cell of a row of the table, what such a program says, and how many bytes of our own it may hold. A producer's are never raised; a whole app's only by what it can do more. */
const ROWS: readonly (readonly [what: string, code: string, most: number])[] = [
  [
    "`Producer`, `upstashPublisher`",
    `${PRODUCER} ${HTTP}
    export const send = (server) => new Producer({ broker: upstashPublisher(server) }).${SEND};`,
    8000,
  ],
  [
    "and `upstashBackend`, `resultOf`",
    `${PRODUCER} ${HTTP}
    export const send = (server) => new Producer({ broker: upstashPublisher(server) }).${SEND};
    export const look = (server, id) => resultOf(upstashBackend(server), id).get({ timeout: 5 });`,
    20_200,
  ],
  [
    "`Celery`, `upstashBroker`, `upstashBackend`",
    `${CELERY} ${HTTP}
    export const app = (server) => new Celery("a", { broker: upstashBroker(server), backend: upstashBackend(server) });`,
    // It holds what consumes, too.
    52_000,
  ],
  [
    "`Producer`, `amqpPublisher` over WebSocket",
    `${PRODUCER} ${WEBSOCKET}
    export const send = (url) => new Producer({ broker: amqpPublisher(url) }).${SEND};`,
    10_000,
  ],
  [
    "and `upstashBackend`, `resultOf`",
    `${PRODUCER} ${WEBSOCKET}
    export const send = (url) => new Producer({ broker: amqpPublisher(url) }).${SEND};
    export const look = (server, id) => resultOf(upstashBackend(server), id).get({ timeout: 5 });`,
    23_400,
  ],
  [
    "`Celery`, `amqpBroker` over WebSocket, `upstashBackend`",
    `${CELERY} ${WEBSOCKET}
    export const app = (url, server) => new Celery("a", { broker: amqpBroker(url), backend: upstashBackend(server) });`,
    // It declares native delayed delivery, too, and parks by it; under an alarm it gives parks up.
    61_000,
  ],
];

const OVER_HTTP = 0;
const OVER_WEBSOCKET = 3;

interface Row {
  readonly what: string;
  readonly ours: Bundle;
  readonly whole: Bundle;
  readonly most: number;
}

const rows: Promise<readonly Row[]> = Promise.all(
  ROWS.map(async ([what, code, most]) => ({
    what,
    most,
    ours: await bundle(code, LIBRARIES),
    whole: await bundle(code),
  })),
);

/** Kilobytes of 1000 bytes. */
function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** As it stands in the README between `<!-- sizes -->` and `<!-- /sizes -->`. */
function table(of: readonly Row[]): string {
  const cells = of.map(({ what, ours, whole }) => [what, kB(ours.size), kB(whole.size)]);
  const all = [["a bundle of", "our code", "with the library"], ...cells];
  const widths = [0, 1, 2].map((at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[], fill = " "): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(" | ")} |`;
  const [head = [], ...rest] = all;
  return [line(head), line(["", "", ""], "-"), ...rest.map((row) => line(row))].join("\n");
}

test("what bundles hold of us is measured, with esbuild's minify and gzip", async () => {
  const measured = await rows;
  console.log(table(measured));
  for (const { what, ours, whole } of measured) expect(whole.size, what).toBeGreaterThan(ours.size);
});

test("no bundle holds more of us than it may", async () => {
  for (const { what, ours, most } of await rows) expect(ours.size, what).toBeLessThanOrEqual(most);
});

test("a producer holds no app, no worker, no results, and no consuming half", async () => {
  const measured = await rows;
  const files = (at: number): readonly string[] => measured[at]?.ours.files ?? [];
  const never =
    /^src\/(app|canvas|result|worker|cli|gateway)\/|^node:|^(ws|ioredis)$|consumer|intake|ledger|subscription|json-reader/;
  for (const at of [OVER_HTTP, OVER_WEBSOCKET]) {
    expect(files(at).length).toBeGreaterThan(10);
    expect(files(at).filter((file) => never.test(file))).toEqual([]);
  }
  expect(files(OVER_HTTP).filter((file) => /adapters\/amqp|adapters\/memory|cloudamqp/.test(file))).toEqual(
    [],
  );
  expect(files(OVER_WEBSOCKET).filter((file) => /adapters\/(redis|memory)|upstash/.test(file))).toEqual([]);
  // The look-up brings the results, and still nothing of the app.
  expect(files(OVER_HTTP + 1)).toContain("src/result/async-result.ts");
  expect(files(OVER_HTTP + 1).filter((file) => /^src\/(app|worker|cli)\//.test(file))).toEqual([]);
});

test("no edge bundle reaches the command, a module of Node, or the clients over TCP", async () => {
  for (const { what, ours, whole } of await rows) {
    const met = [...ours.files, ...whole.files].filter((file) =>
      /^src\/(cli|gateway|worker)\/|^node:|(^|node_modules\/)(ws|ioredis)(\/|$)/.test(file)
    );
    expect(met, what).toEqual([]);
  }
});

test("the README's sizes are those that are measured, within a twentieth", async () => {
  const readme = readFileSync(`${ROOT}README.md`, "utf8");
  const stated = /<!-- sizes -->\n([\s\S]*?)<!-- \/sizes -->/.exec(readme)?.[1] ?? "";
  const numbers = (text: string): number[] =>
    [...text.matchAll(/([\d.]+) kB/g)].map(([, figure]) => Number(figure));
  const expected = table(await rows);
  const [there, here] = [numbers(stated), numbers(expected)];
  const off = here.filter((figure, at) => Math.abs(figure - (there[at] ?? 0)) > figure / 20);
  if (there.length !== here.length || off.length > 0) {
    expect.fail(`Put between <!-- sizes --> and <!-- /sizes --> of the README:\n\n${expected}\n`);
  }
});

test.each([
  ["the front door", 'export * from "./mod.ts";'],
  ["the memory pair", 'export * from "./mod.ts"; export * from "./adapters/memory/mod.ts";'],
  ["the worker", 'export * from "./mod.ts"; export * from "./src/worker/mod.ts";'],
])("%s bundles without any module of Node", async (what, code) => {
  const { size } = await bundle(code);
  console.log(`${what}: ${kB(size)}`);
  expect(size).toBeGreaterThan(1000);
});

test("a module of Node in a bundle is an error", async () => {
  await expect(bundle('export { readFileSync } from "node:fs";')).rejects.toThrow(/node:fs/);
});
