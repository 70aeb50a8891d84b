import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "./copy.ts";
import { treeFiles } from "./tree.ts";

interface Locked {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, "utf8")) as {
  readonly packages: Readonly<Record<string, Locked>>;
};

function run(program: string, ...args: string[]): string {
  return spawnSync(program, args, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
}

// npm leaves a platform package that the registry does not have (yet) out of the lock, and then only `npm ci` fails.
test("the lock holds every optional package of every platform", () => {
  const names = new Set(Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, "")));
  const wanted = Object.values(lock.packages).flatMap((entry) =>
    Object.keys(entry.optionalDependencies ?? {})
  );
  expect(wanted.length).toBeGreaterThan(20);
  expect(wanted.filter((name) => !names.has(name))).toEqual([]);
});

test("the lock names no place to download from", () => {
  const places = Object.entries(lock.packages).filter(([, { resolved }]) => resolved?.includes("://"));
  expect(places).toEqual([]);
});

test("no tracked file names a registry", () => {
  const here = new URL(run("npm", "config", "get", "registry")).host;
  // In two halves, so that this file does not name one either.
  const hosts = [here, "registry.npm" + "js.org", "registry.yarn" + "pkg.com", "npm.js" + "r.io"];
  const found = treeFiles().filter((file) => {
    const text = readFileSync(ROOT + file, "utf8");
    return hosts.some((host) => text.includes(host));
  });
  expect(found).toEqual([]);
});
