/**
 * What the tests need from the machine, looked for in one place.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The Python that the interop tests start: `$PYTHON`, or Debian's, where `apt-get install celery` puts Celery. */
export const PYTHON = process.env["PYTHON"] || "/usr/bin/python3";

/** Where `npm run services` leaves the URLs of the servers that a container engine runs for it. */
export const URLS_FILE = fileURLToPath(
  new URL("../node_modules/.cache/celeriac-services.json", import.meta.url),
);

/** @param {string} program */
export function onPath(program) {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/**
 * @typedef {object} Need
 * @property {"amqp" | "redis" | "python" | "relay"} id
 * @property {string} what
 * @property {readonly string[]} packages Debian's
 * @property {boolean} met
 */

/**
 * @param {string} program
 * @param {readonly string[]} args
 */
function runs(program, args) {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

/** @returns {Need[]} */
export function needs() {
  const rabbit = existsSync("/usr/lib/rabbitmq/bin/rabbitmq-server") || onPath("rabbitmq-server");
  const python = existsSync(PYTHON) && runs(PYTHON, ["-c", "import celery, redis"]);
  return [
    { id: "amqp", what: "rabbitmq-server", packages: ["rabbitmq-server"], met: rabbit },
    { id: "redis", what: "redis-server", packages: ["redis-server"], met: onPath("redis-server") },
    { id: "python", what: `Celery for ${PYTHON}`, packages: ["celery", "python3-redis"], met: python },
    { id: "relay", what: "websockify", packages: ["websockify"], met: onPath("websockify") },
  ];
}

/**
 * Server URLs from the environment, else those that `npm run services` left.
 *
 * @returns {{ amqp: string | undefined, redis: string | undefined, from: string }}
 */
export function givenUrls() {
  const amqp = process.env["TEST_AMQP"] || undefined;
  const redis = process.env["TEST_REDIS"] || undefined;
  if (amqp !== undefined || redis !== undefined || !existsSync(URLS_FILE)) {
    return { amqp, redis, from: "environment" };
  }
  const left = JSON.parse(readFileSync(URLS_FILE, "utf8"));
  return { amqp: left.TEST_AMQP, redis: left.TEST_REDIS, from: "npm run services" };
}
