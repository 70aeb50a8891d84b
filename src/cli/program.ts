/**
 * The commands and options of `celeriac`, which are Celery's.
 *
 * @module
 */
import { Command, Option } from "commander";
import { callCommand } from "./call.ts";
import type { Globals } from "./globals.ts";
import type { Host } from "./host.ts";
import { declareMissingCommands, missingFlag } from "./missing.ts";
import { resultCommand } from "./result.ts";
import { VERSION } from "./version.ts";
import { workerCommand } from "./worker.ts";

/** What the options before the command are kept as. */
interface GlobalOptions {
  readonly app?: string;
  readonly broker?: string;
  readonly resultBackend?: string;
  readonly workdir?: string;
  readonly color: boolean;
  readonly quiet?: boolean;
}

const COMMANDS = { worker: workerCommand, call: callCommand, result: resultCommand };

/** The program, ready to parse; `done` takes the exit code of the command that ran. */
export function createProgram(host: Host, done: (code: number) => void): Command {
  const program = new Command("celeriac")
    .description("Celery for every JavaScript runtime.")
    .version(`${VERSION} (celeriac)`, "--version", "show the version")
    .option("-A, --app <module>", "the app: ./run.ts, a package, or module:attribute (env CELERY_APP)")
    .option("-b, --broker <url>", "the broker, in place of the app's (env CELERY_BROKER_URL)")
    .option("--result-backend <url>", "the result backend, in place of the app's (env CELERY_RESULT_BACKEND)")
    .option("--workdir <folder>", "the folder to work in")
    .option("-C, --no-color", "no colour (env NO_COLOR)")
    .option("-q, --quiet", "no banner")
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHasColors: () => host.stdout.colour,
      getErrHasColors: () => host.stderr.colour,
    })
    .exitOverride();
  const fail = (message: string): never => program.error(message, { code: "celeriac.usage" });
  const globals = (): Globals => {
    const options: GlobalOptions & Record<string, unknown> = program.opts();
    const missing = missingFlag(options);
    if (missing !== undefined) fail(missing);
    return readGlobals(host, options);
  };
  for (const [name, define] of Object.entries(COMMANDS)) {
    const command = program.command(name);
    define(command, host, globals, done);
    misplaced(command, fail);
  }
  declareMissingCommands(program, fail);
  return program;
}

/** Environment names are Celery's; those of this invocation's options win. */
function readGlobals(host: Host, options: GlobalOptions): Globals {
  const { env } = host;
  if (options.workdir !== undefined) host.chdir(options.workdir);
  return {
    app: options.app ?? named(env["CELERY_APP"]) ?? named(env["APP"]),
    broker: options.broker ?? named(env["CELERY_BROKER_URL"]) ?? named(env["BROKER_URL"]),
    resultBackend: options.resultBackend ?? named(env["CELERY_RESULT_BACKEND"]) ??
      named(env["RESULT_BACKEND"]),
    colour: options.color,
    quiet: options.quiet === true,
  };
}

function named(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

/** Options of the program that people write after the command, as Celery 4 allowed. */
const BEFORE = ["-A, --app <module>", "-b, --broker <url>", "--result-backend <url>", "--workdir <folder>"];

/** Celery has a sentence of its own for them. */
function misplaced(command: Command, fail: (message: string) => never): void {
  const name = command.name();
  for (const flags of BEFORE) {
    const option = new Option(flags).hideHelp();
    const flag = option.short ?? option.long ?? "";
    option.argParser(() =>
      fail(
        `You are using \`${flag}\` as an option of the ${name} sub-command:\nceleriac ${name} ${flag} … <...>\n\n` +
          `Instead you should use \`${flag}\` as a global option:\nceleriac ${flag} … ${name} <...>`,
      )
    );
    command.addOption(option);
  }
}
