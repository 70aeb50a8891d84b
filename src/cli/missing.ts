/**
 * Celery's commands and worker flags that are not here: known, so that the answer is a sentence and not "unknown option".
 *
 * @module
 */
import { Option } from "commander";
import type { Command } from "commander";

/** Celery 5.6's commands that celeriac has not. */
const COMMANDS = [
  "amqp",
  "beat",
  "control",
  "events",
  "graph",
  "inspect",
  "list",
  "logtool",
  "migrate",
  "multi",
  "purge",
  "report",
  "shell",
  "status",
  "upgrade",
  "flower",
];

/** Celery 5.6's worker flags that celeriac has not. */
const WORKER_FLAGS = [
  "-D, --detach",
  "-S, --statedb <path>",
  "--disable-prefetch",
  "-E, --task-events",
  "--events",
  "--max-tasks-per-child <count>",
  "--max-memory-per-child <kib>",
  "--purge",
  "--discard",
  "--heartbeat-interval <seconds>",
  "--autoscale <max,min>",
  "-B, --beat",
  "-s, --schedule-filename <path>",
  "--schedule <path>",
  "--scheduler <name>",
  "-f, --logfile <path>",
  "--pidfile <path>",
  "--uid <user>",
  "--gid <group>",
  "--umask <mask>",
  "--executable <path>",
];

/** Flags that switch off what celeriac has not, or choose what it always does: taken and without effect. */
const NEEDLESS_FLAGS = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-O <profile>"];

/** Global options of Celery's that celeriac has not. */
const GLOBAL_FLAGS = ["--loader <name>", "--config <module>", "--skip-checks"];

/** Lets `command` answer Celery's missing worker flags. */
export function declareMissingWorkerFlags(command: Command): void {
  for (const flags of WORKER_FLAGS) command.addOption(missing(flags));
  for (const flags of NEEDLESS_FLAGS) command.addOption(new Option(flags).hideHelp());
}

/** Lets `program` answer Celery's missing global options and commands; `fail` ends with the usage error. */
export function declareMissingCommands(program: Command, fail: (message: string) => never): void {
  for (const flags of GLOBAL_FLAGS) program.addOption(missing(flags));
  for (const name of COMMANDS) {
    program.command(name, { hidden: true }).allowUnknownOption().allowExcessArguments().helpOption(false)
      .action(() => fail(`error: celeriac has no command '${name}' yet`));
  }
}

/** The sentence for the first missing flag among the options that were given, if any. */
export function missingFlag(given: Readonly<Record<string, unknown>>): string | undefined {
  for (const flags of [...WORKER_FLAGS, ...GLOBAL_FLAGS]) {
    const option = new Option(flags);
    if (given[option.attributeName()] !== undefined) {
      return `error: celeriac has no option '${option.long ?? option.short}' yet`;
    }
  }
  return undefined;
}

function missing(flags: string): Option {
  return new Option(flags).hideHelp();
}
