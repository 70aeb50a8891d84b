/**
 * `npm run services`: makes sure that RabbitMQ, Redis, Python Celery and websockify are there for the tests.
 *
 * Nothing is started where binaries exist: `npm test` starts private servers from them.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { needs, onPath, URLS_FILE } from "./needs.mjs";

const POLICY = "/usr/sbin/policy-rc.d";
const FORBID = "#!/bin/sh\n# celeriac: npm run services\nexit 101\n";
const COMPOSE_FILE = fileURLToPath(new URL("../compose.yaml", import.meta.url));
const COMPOSE_URLS = {
  TEST_AMQP: "amqp://guest:guest@127.0.0.1:5673//",
  TEST_REDIS: "redis://127.0.0.1:6380/0",
};

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 */
function run(program, args, env = {}) {
  console.log(`$ ${program} ${args.join(" ")}`);
  return spawnSync(program, args, { stdio: "inherit", env: { ...process.env, ...env } }).status === 0;
}

/** @param {readonly string[]} packages */
function installDebian(packages) {
  // Debian's packages start their services on install. The tests need the binaries only, so a policy forbids it for
  // the time of the install; services that run already are not touched by it.
  const ours = !existsSync(POLICY) || readFileSync(POLICY, "utf8") === FORBID;
  if (ours) {
    writeFileSync(POLICY, FORBID);
    chmodSync(POLICY, 0o755);
  }
  const quiet = {
    DEBIAN_FRONTEND: "noninteractive",
    APT_LISTCHANGES_FRONTEND: "none",
    NEEDRESTART_SUSPEND: "1",
  };
  const options = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", "-q", "-y"];
  try {
    // An install from the lists at hand is worth nothing on a fresh machine, and lists that fail to update may still do.
    run("apt-get", [...options, "update"], quiet);
    return run("apt-get", [...options, "install", "--no-install-recommends", ...packages], quiet);
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}

/** @returns {[string, ...string[]] | undefined} the compose command of a container engine that runs */
function composeCommand() {
  for (const [engine, ...compose] of [["docker", "docker", "compose"], ["podman", "podman", "compose"]]) {
    if (!onPath(engine) || spawnSync(engine, ["info"], { stdio: "ignore" }).status !== 0) continue;
    const [program, ...args] = compose;
    if (spawnSync(program, [...args, "version"], { stdio: "ignore" }).status === 0) return [program, ...args];
  }
  return undefined;
}

/** @param {readonly import("./needs.mjs").Need[]} missing */
function sayWhat(missing) {
  console.error(`Missing: ${missing.map((need) => need.what).join(", ")}.`);
  console.error("On Debian or Ubuntu, as root:");
  console.error(
    `  apt-get update && apt-get install -y ${missing.flatMap((need) => need.packages).join(" ")}`,
  );
  console.error(
    "On macOS: brew install rabbitmq redis, and Celery for /usr/bin/python3: pip3 install celery redis websockify",
  );
  console.error(
    "Or give servers that are yours to test on: TEST_AMQP=amqp://… TEST_REDIS=redis://… npm test",
  );
}

function main() {
  const missing = needs().filter((need) => !need.met);
  if (missing.length === 0) {
    rmSync(URLS_FILE, { force: true });
    console.log("services: RabbitMQ, Redis, Python Celery and websockify are installed, nothing to do");
    return 0;
  }
  if (process.getuid?.() === 0 && onPath("apt-get")) {
    const done = installDebian(missing.flatMap((need) => need.packages));
    const left = needs().filter((need) => !need.met);
    if (done && left.length === 0) {
      console.log(`services: installed ${missing.map((need) => need.what).join(", ")}`);
      return 0;
    }
    sayWhat(left.length === 0 ? missing : left);
    return 1;
  }
  const compose = composeCommand();
  if (compose !== undefined && missing.some((need) => need.id === "amqp" || need.id === "redis")) {
    const [program, ...args] = compose;
    if (run(program, [...args, "-f", COMPOSE_FILE, "up", "--detach", "--wait"])) {
      mkdirSync(dirname(URLS_FILE), { recursive: true });
      writeFileSync(URLS_FILE, JSON.stringify(COMPOSE_URLS));
      console.log("services: containers are up; npm test finds them, for other uses:");
      for (const [name, url] of Object.entries(COMPOSE_URLS)) console.log(`  export ${name}=${url}`);
      console.log(
        "Tests that start and kill servers of their own need the binaries still: there they fail, and say so.",
      );
      const rest = missing.filter((need) => need.id === "python" || need.id === "relay");
      if (rest.length === 0) return 0;
      sayWhat(rest);
      return 1;
    }
  }
  sayWhat(missing);
  return 1;
}

process.exitCode = main();
