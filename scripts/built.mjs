/**
 * The end of `npm run build`: takes out of dist what has no source any more, which the compiler leaves there and the package would carry,
 * and makes the command executable.
 *
 * @module
 */
import { chmodSync, existsSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

for (const file of readdirSync(`${root}dist`, { recursive: true, encoding: "utf8" })) {
  const source = /^(.*)\.(?:js|d\.ts)(?:\.map)?$/.exec(file)?.[1];
  if (source !== undefined && !existsSync(`${root}${source}.ts`)) rmSync(`${root}dist/${file}`);
}
chmodSync(`${root}dist/src/cli/bin.js`, 0o755);
