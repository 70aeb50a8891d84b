/**
 * `npm run check`: format, lint and types, each with its own line.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = `${root}node_modules/.bin/`;

/** @type {ReadonlyArray<readonly [name: string, program: string, ...args: string[]]>} */
const CHECKS = [
  ["types", process.execPath, "node_modules/typescript/bin/tsc", "-b", "src/cli", "src/testing"],
  // TypeScript in Go says the same in a tenth of the time; what is shipped is built and checked by the other one, above.
  ["types of the gateway", process.execPath, "node_modules/ts7/bin/tsc", "-p", "src/gateway"],
  ["types of tests, examples and bench", process.execPath, "node_modules/ts7/bin/tsc", "-p", "test"],
  // Nested configurations: node_modules/celeriac is this folder again, and oxlint would read it as one.
  ["lint", `${bin}oxlint`, "--disable-nested-config", "--deny-warnings"],
  ["lint for JSR", `${bin}deno`, "lint", "--quiet"],
  ["format", `${bin}deno`, "fmt", "--check"],
];

/**
 * Enough to see what is wrong; the tool itself tells all of it.
 *
 * @param {string} text
 */
function shorten(text) {
  const lines = text.split("\n");
  return lines.length <= 100 ? text : `${lines.slice(0, 100).join("\n")}\n… ${lines.length - 100} lines more`;
}

/** @param {typeof CHECKS[number]} check */
function run([name, program, ...args]) {
  const begin = performance.now();
  return new Promise((resolve) => {
    let text = "";
    const child = spawn(program, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    child.stdout.on("data", (bytes) => text += bytes);
    child.stderr.on("data", (bytes) => text += bytes);
    child.on("error", (error) => text += error.message);
    child.on("close", (code) => {
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      console.log(`check ${name}: ${code === 0 ? "ok" : "FAILED"} (${seconds} s)`);
      if (code !== 0) console.log(shorten(text.trim()));
      resolve(code === 0);
    });
  });
}

if (!existsSync(`${bin}oxlint`)) {
  console.error("node_modules is missing: run `npm ci`");
  process.exit(1);
}
const [build, ...rest] = CHECKS;
// The tests' types read what the build writes; the others may run side by side.
const first = build === undefined ? true : await run(build);
const others = await Promise.all(rest.map(run));
process.exitCode = first && others.every(Boolean) ? 0 : 1;
