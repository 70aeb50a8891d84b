/**
 * Whether a server may throw queues away.
 *
 * @module
 */
import type { Call } from "../../src/broker.ts";
import type { Commands } from "./client.ts";

/** Why it may, or undefined. A server that does not tell, or not this user, is none to warn of. */
export async function evictionOf(commands: Commands, call: Call): Promise<string | undefined> {
  const [memory] = await commands.run([["info", "memory"]], { ...call, repeatable: true });
  const policy = /^maxmemory_policy:(\S+)/m.exec(String(memory))?.[1] ?? "noeviction";
  if (policy === "noeviction") return undefined;
  return `its maxmemory-policy is ${policy}: when its memory is full, it throws queues away`;
}
