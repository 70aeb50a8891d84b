/**
 * `celeriac call NAME`: sends one task and prints its id.
 *
 * @module
 */
import type { Command } from "commander";
import type { SendOptions } from "../result/sender.ts";
import { findApp, type Globals } from "./globals.ts";
import { EXIT, type Host } from "./host.ts";
import { instant, jsonArray, jsonObject, seconds, secondsOrInstant } from "./options.ts";

/** Named as in `SendOptions`, so that they go on as they are. */
type CallFlags = Pick<
  SendOptions,
  "args" | "kwargs" | "countdown" | "eta" | "expires" | "queue" | "exchange" | "routingKey" | "serializer"
>;

/** Makes `command` the call command; `done` takes the exit code. */
export function callCommand(
  command: Command,
  host: Host,
  globals: () => Globals,
  done: (code: number) => void,
): void {
  command.description("send a task by its name and print its id")
    .argument("<name>", "the task's name")
    .option("-a, --args <json>", "positional arguments, a JSON array", jsonArray)
    .option("-k, --kwargs <json>", "keyword arguments, a JSON object", jsonObject)
    .option("--countdown <seconds>", "run it so many seconds from now", seconds)
    .option("--eta <time>", "run it at this time, ISO 8601", instant)
    .option("--expires <when>", "drop it after so many seconds, or at this time", secondsOrInstant)
    .option("--queue <name>", "the queue")
    .option("--exchange <name>", "the exchange")
    .option("--routing-key <key>", "the routing key")
    .option("--serializer <name>", "how the arguments are written: json")
    .action(async (name: string, flags: CallFlags) => {
      await using found = await findApp(globals(), host);
      const { app } = found;
      const { id } = await app.sendTask(name, flags);
      host.stdout.write(`${id}\n`);
      done(EXIT.ok);
    });
}
