/**
 * The package as npm would publish it: packed, and unpacked or installed into a folder of its own.
 *
 * @module
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "../support/celeriac.ts";
import { output } from "./run.ts";

/** What the tests read of package.json. */
export interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export const MANIFEST: Manifest = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as Manifest;

/** The libraries that a user installs beside us, as the adapters need them. */
export const PEERS: readonly string[] = Object.keys(MANIFEST.peerDependencies);

/** What a program imports: `celeriac`, `celeriac/amqp` and so on. */
export const ENTRIES: readonly string[] = Object.keys(MANIFEST.exports).map((name) =>
  `celeriac${name.slice(1)}`
);

/** The entries for programs; the command's own runs the command when it is imported. */
export const LIBRARY: readonly string[] = ENTRIES.filter((name) => name !== "celeriac/cli");

/** A temporary folder with the tarball in it, gone when disposed. */
export class Packed implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "celeriac-package-"));

  /** Packs dist as it stands: `npm test` has built it already, and scripts would only build again. */
  static async make(): Promise<Packed> {
    const packed = new Packed();
    await output("npm", ["pack", "--ignore-scripts", "--pack-destination", packed.folder], { cwd: ROOT });
    return packed;
  }

  get tarball(): string {
    const name = readdirSync(this.folder).find((file) => file.endsWith(".tgz"));
    if (name === undefined) throw new Error("npm pack left no tarball");
    return join(this.folder, name);
  }

  /** A new project; most users say no `"type"`, and everything must cope. */
  project(name: string, files: Readonly<Record<string, string>> = {}): string {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const all = { "package.json": '{ "private": true }\n', ...files };
    for (const [file, text] of Object.entries(all)) writeFileSync(join(folder, file), text);
    return folder;
  }

  /** A project with the package in it as a user gets it, and what else is named. */
  async install(
    name: string,
    packages: readonly string[],
    files?: Readonly<Record<string, string>>,
  ): Promise<string> {
    const folder = this.project(name, files);
    const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"];
    await output("npm", ["install", ...quiet, this.tarball, ...packages], { cwd: folder, deadline: 120_000 });
    return folder;
  }

  /** A project with the package's files alone, and the checkout's copy of what else is named: enough for compilers and bundlers. */
  async unpack(
    name: string,
    packages: readonly string[],
    files?: Readonly<Record<string, string>>,
  ): Promise<string> {
    const folder = this.project(name, files);
    const unpacked = join(folder, "node_modules", "celeriac");
    mkdirSync(unpacked, { recursive: true });
    await output("tar", ["-xzf", this.tarball, "--strip-components=1", "-C", unpacked], { cwd: folder });
    for (const other of packages) {
      const place = join(folder, "node_modules", other);
      mkdirSync(dirname(place), { recursive: true });
      symlinkSync(`${ROOT}node_modules/${other}`, place);
    }
    return folder;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Copies files of `fixtures/` into a project. */
export function fixtures(project: string, ...names: string[]): void {
  for (const name of names) cpSync(`${ROOT}test/packaging/fixtures/${name}`, join(project, name));
}
