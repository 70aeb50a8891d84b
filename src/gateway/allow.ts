/**
 * Which commands may pass: none that would block, leave something behind on a connection that others share, or rule the server.
 *
 * @module
 */
import type { Command } from "./command.ts";

const BLOCKING = words("BLMOVE BLMOVEM BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF");

/** What a connection remembers, or answers with more than one reply; transactions and subscriptions have paths of their own. */
const STATEFUL = words(
  "ASKING AUTH CLIENT DISCARD EXEC HELLO HIMPORT MONITOR MULTI PSUBSCRIBE PUNSUBSCRIBE QUIT READONLY READWRITE RESET SELECT SSUBSCRIBE " +
    "SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE UNWATCH WATCH",
);

/** What rules the server: its life, its files, its settings, its users, its peers. */
const RULING = words(
  "ACL BGREWRITEAOF BGSAVE CLUSTER CONFIG DEBUG FAILOVER LATENCY MIGRATE MODULE PFDEBUG PFSELFTEST PSYNC REPLCONF REPLICAOF " +
    "RESTORE-ASKING ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SWAPDB SYNC",
);

/** Why the command is refused, in Upstash's words, or undefined where it may pass. */
export function refusalOf({ name, args }: Command): string | undefined {
  if (STATEFUL.has(name)) {
    return `ERR Command "${name}" is not allowed in REST or it has a special context path`;
  }
  if (BLOCKING.has(name) || RULING.has(name)) return `ERR Command is not available: '${name}'`;
  if (name === "XREAD" || name === "XREADGROUP") {
    return blocks(args) ? `ERR Command is not available: '${name}' with BLOCK` : undefined;
  }
  return undefined;
}

/** BLOCK is an option before STREAMS; behind it everything is a key or an id. */
function blocks(args: Command["args"]): boolean {
  const names = args.map((arg) =>
    (typeof arg === "string" ? arg : new TextDecoder().decode(arg)).toUpperCase()
  );
  // XREADGROUP GROUP <group> <consumer>: either may be called "block" or "streams".
  const start = names[0] === "GROUP" ? 3 : 0;
  const end = names.indexOf("STREAMS", start);
  return names.slice(start, end < 0 ? undefined : end).includes("BLOCK");
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}
