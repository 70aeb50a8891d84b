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
  "ACL BGREWRITEAOF BGSAVE CLUSTER COMMANDLOG CONFIG DEBUG FAILOVER FT.CONFIG HOTKEYS LATENCY MIGRATE MODULE PFDEBUG PFSELFTEST PSYNC " +
    "REPLCONF REPLICAOF RESTORE-ASKING ROLE SAVE SENTINEL SHUTDOWN SLAVEOF SLOWLOG SWAPDB SYNC",
);

/** Redis takes it for a browser's request and cuts the connection. */
const CUTTING = words("POST");

/** Of these only the parts named pass: SCRIPT DEBUG turns the connection into a debugger's, SCRIPT KILL ends what others run. */
const PARTS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["FUNCTION", words("DELETE FLUSH LIST LOAD STATS")],
  ["MEMORY", words("USAGE")],
  ["OBJECT", words("ENCODING FREQ IDLETIME REFCOUNT")],
  ["SCRIPT", words("EXISTS FLUSH LOAD")],
]);

/** Why the command is refused, in Upstash's words, or undefined where it may pass. */
export function refusalOf({ name, args }: Command): string | undefined {
  if (STATEFUL.has(name)) {
    return `ERR Command "${name}" is not allowed in REST or it has a special context path`;
  }
  if (BLOCKING.has(name) || RULING.has(name) || CUTTING.has(name)) {
    return `ERR Command is not available: '${name}'`;
  }
  const parts = PARTS.get(name);
  if (parts !== undefined && !parts.has(upper(args[0] ?? ""))) {
    return `ERR Command is not available: '${name}' but for ${[...parts].join(", ")}`;
  }
  if (name === "XREAD" || name === "XREADGROUP") {
    return blocks(args) ? `ERR Command is not available: '${name}' with BLOCK` : undefined;
  }
  return undefined;
}

/**
 * BLOCK is an option before STREAMS, in any order with the others; behind it everything is a key or an id. The last STREAMS counts: an
 * earlier one may be the value of an option.
 */
function blocks(args: Command["args"]): boolean {
  const names = args.map(upper);
  const end = names.lastIndexOf("STREAMS");
  for (let at = 0; at < (end < 0 ? names.length : end); at++) {
    if (names[at] === "BLOCK") return true;
    // GROUP <group> <consumer>: either may be called "block".
    if (names[at] === "GROUP") at += 2;
  }
  return false;
}

function upper(arg: string | Uint8Array): string {
  return (typeof arg === "string" ? arg : new TextDecoder().decode(arg)).toUpperCase();
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}
