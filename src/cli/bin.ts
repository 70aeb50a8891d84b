#!/usr/bin/env node
/**
 * The command `celeriac`: the one module of the CLI that touches its process.
 *
 * @module
 */
import { arch, release, type } from "node:os";
import process from "node:process";
import { explain } from "./failure.ts";
import { EXIT, type Host, type Output, type StopSignal } from "./host.ts";
import { main } from "./main.ts";
import { serve } from "./serve.ts";

const host: Host = {
  args: process.argv.slice(2),
  env: process.env,
  system: `${type()}-${release()}-${arch()} ${runtime()}`,
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  stripsTypes: stripsTypes(),
  now: () => Date.now(),
  cwd: () => process.cwd(),
  chdir: (folder) => process.chdir(folder),
  onSignal(signal: StopSignal, listener: () => void): Disposable {
    try {
      process.on(signal, listener);
    } catch {
      // Windows has no SIGQUIT.
    }
    return { [Symbol.dispose]: () => void process.off(signal, listener) };
  },
  onStray(listener) {
    process.on("unhandledRejection", listener);
    return { [Symbol.dispose]: () => void process.off("unhandledRejection", listener) };
  },
  serve,
  exit: (code) => process.exit(code),
};

process.on("uncaughtException", (error) => {
  explain(host, error);
  process.exit(EXIT.failure);
});
// A worker on the memory pair holds no socket: without this the process would end under it.
const alive = setInterval(() => {}, 2 ** 30);
const code = await main(host);
clearInterval(alive);
await Promise.all([drained(process.stdout), drained(process.stderr)]);
// Not left to the end of the event loop: a module of the user's may hold it open for ever.
process.exit(code);

function runtime(): string {
  const { bun, deno, node } = process.versions;
  if (deno !== undefined) return `deno ${deno}`;
  return bun === undefined ? `node ${node}` : `bun ${bun}`;
}

function stripsTypes(): boolean {
  const { bun, deno } = process.versions;
  const { typescript } = process.features as { typescript?: unknown };
  return bun !== undefined || deno !== undefined || Boolean(typescript);
}

function output(stream: NodeJS.WriteStream): Output {
  let broken = false;
  // EPIPE: the reader (`| head`) has gone, and nobody is left to be told.
  stream.on("error", () => broken = true);
  return {
    write(text) {
      if (!broken) stream.write(text);
    },
    colour: stream.isTTY === true && (process.env["NO_COLOR"] ?? "") === "",
  };
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write("", () => resolve());
  });
}
