/**
 * The files of the repository, with git or without it.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./copy.ts";

const IGNORED = new Set([".git", "node_modules", "dist"]);

function walk(folder: string): string[] {
  return readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) => {
    if (IGNORED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** Tracked files and new ones that are not ignored; a checkout without git is walked. */
export function treeFiles(): string[] {
  const git = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const files = git.status === 0 ? git.stdout.split("\0").filter((file) => file !== "") : walk("");
  return files.filter((file) => existsSync(ROOT + file));
}
