/**
 * The other Node versions, beside the Node that runs the tests, which should be 20, the oldest that we support. 22 and 24 come from npm
 * into `nodes/node_modules`, once a checkout (400 MB, 10 seconds).
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/celeriac.ts";
import { output } from "./run.ts";

const FOLDER = `${ROOT}test/packaging/nodes`;

/** The major version of the Node that runs the tests. */
export const OURS: string = process.versions.node.split(".", 1)[0] ?? "";

/** The versions that the package is for, but our own. */
export const NODES: readonly string[] = ["20", "22", "24"].filter((version) => version !== OURS);

const { optionalDependencies } = JSON.parse(readFileSync(`${FOLDER}/package.json`, "utf8")) as {
  readonly optionalDependencies: Readonly<Record<string, string>>;
};

/** `TEST_NODE_20`, `TEST_NODE_22` and `TEST_NODE_24` name other executables, for a platform that npm has none for. */
function place(version: string): string {
  const given = process.env[`TEST_NODE_${version}`];
  if (given !== undefined && given !== "") return given;
  const name = `node${version}-${process.platform}-${process.arch}`;
  if (!Object.hasOwn(optionalDependencies, name)) {
    throw new Error(
      `Node ${version} for ${process.platform} on ${process.arch} is not in test/packaging/nodes/package.json: ` +
        `set TEST_NODE_${version} to the path of its executable.`,
    );
  }
  return join(FOLDER, "node_modules", name, "bin", "node");
}

/** The executables, installed if they are not there yet and asked for their version. */
export async function installNodes(): Promise<ReadonlyMap<string, string>> {
  const places = new Map(NODES.map((version) => [version, place(version)]));
  if ([...places.values()].some((path) => !existsSync(path))) {
    await output("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], {
      cwd: FOLDER,
      deadline: 120_000,
    });
  }
  for (const [version, path] of places) {
    const told = await output(path, ["--version"], { cwd: ROOT });
    if (!told.startsWith(`v${version}.`)) throw new Error(`${path} is Node ${told}, not ${version}.`);
  }
  return places;
}
