/**
 * The test files of rooms.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Every test file of these rooms or files. */
export function testFiles(rooms: readonly string[], but: readonly string[] = []): string[] {
  const out = (file: string): boolean => but.some((path) => file === path || file.startsWith(`${path}/`));
  return rooms.flatMap((room) =>
    room.endsWith(".ts") ? [room] : readdirSync(ROOT + room, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts")).map((name) => `${room}/${name.replaceAll("\\", "/")}`)
  ).filter((file) => !out(file)).sort();
}
