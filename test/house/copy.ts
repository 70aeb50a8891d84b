/**
 * A throw-away copy of the repository to plant violations in.
 *
 * @module
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository, with a slash at the end. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

const PARTS = ["mod.ts", "src", "adapters", "tsconfig.json", "package.json", "deno.json", ".oxlintrc.json"];

/** A folder in the system's temporary one, gone when disposed. */
export class Copy implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "celeriac-copy-"));

  constructor() {
    for (const part of PARTS.filter((name) => existsSync(join(ROOT, name)))) {
      cpSync(join(ROOT, part), join(this.folder, part), { recursive: true });
    }
    // What one project sees of another is its declarations.
    const declared = (path: string): boolean => statSync(path).isDirectory() || path.endsWith(".d.ts");
    cpSync(join(ROOT, "dist"), join(this.folder, "dist"), { recursive: true, filter: declared });
    symlinkSync(join(ROOT, "node_modules"), join(this.folder, "node_modules"));
  }

  /** Adds lines to a file, which need not exist. */
  append(file: string, text: string): void {
    const path = join(this.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    appendFileSync(path, text);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
