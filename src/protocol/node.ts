/**
 * Names of nodes: what a worker and a sender call themselves.
 *
 * @module
 */

/** What a node's name is made of. */
export interface NodeFacts {
  readonly pid: number;
  readonly hostname: string;
}

/** The name that a sender puts in the header `origin`: `gen<pid>@<hostname>`. */
export function anonNodename(facts: NodeFacts): string {
  return `gen${facts.pid}@${facts.hostname}`;
}

/**
 * A worker's node name from the text of `--hostname`: `%h` is the host's name, `%n` its first part, `%d` the rest (the domain). Without a
 * name before the `@` it is `celery`, without a host this host's name.
 *
 * @example nodename("worker@%h", "box.lan") // "worker@box.lan"
 */
export function nodename(template: string | undefined, hostname: string): string {
  const text = template ?? "";
  const at = text.indexOf("@");
  // Without an @ the whole text is the host, as in Celery.
  const name = at < 0 ? "celery" : text.slice(0, at) || "celery";
  const host = (at < 0 ? text : text.slice(at + 1)) || hostname;
  return hostFormat(`${name}@${host}`, hostname);
}

function hostFormat(text: string, hostname: string): string {
  const dot = hostname.indexOf(".");
  const keys: Readonly<Record<string, string>> = {
    h: hostname,
    n: dot < 0 ? hostname : hostname.slice(0, dot),
    d: dot < 0 ? "" : hostname.slice(dot + 1),
    // The index of a pool's process: the parent's is 0.
    i: "0",
    I: "",
  };
  return text.replace(/%([hndiI])/g, (_all, key: string) => keys[key] ?? "");
}
