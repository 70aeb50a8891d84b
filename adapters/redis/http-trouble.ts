/**
 * What went wrong with a request, told from the client's errors, which hold the whole command and may hold the token: only a clean sentence
 * is kept. Pure functions.
 *
 * @module
 */

/** The end of a request that brought no answer. A class, so that nothing that a server answers can be taken for one. */
export class Trouble {
  /** The code of its error, behind "broker-" or "backend-". */
  declare readonly kind: "refused" | "unavailable" | "unreachable" | "lost" | "timeout";
  /** A sentence without secrets. */
  declare readonly text: string;
  /** Whether the server may have carried it out all the same. */
  declare readonly doubt: boolean;

  constructor(kind: Trouble["kind"], text: string, doubt: boolean = /lost|timeout/.test(kind)) {
    this.kind = kind;
    this.text = text;
    this.doubt = doubt;
  }
}

interface Raw {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly cause?: Raw;
}

/**
 * The codes for "before a byte of the request left, certainly", of Node and of Bun. Deno has none, and could have none: its fetch sends a POST
 * again by itself, so that what could not connect may have been the second time.
 */
const UNSENT = /refused|notfound|eai_|unreach|connect_t|cert/i;

/** By the words of Redis, of Upstash, or with which a proxy's page begins. All else leaves open whether the command was carried out. */
const KINDS: readonly (readonly [said: RegExp, kind: Trouble["kind"]])[] = [
  [/\b(408|5\d\d)\b|time.?out|timed|closed|lost|gateway|internal/i, "lost"],
  [/^(OOM|LOADING|READONLY|TRYAGAIN|BUSY|\w+DOWN)|\b429\b|limit|too many/i, "unavailable"],
  [/^([A-Z]{3}|4\d\d|.nauth|.orbid)/, "refused"],
];

/** The trouble that a server's words mean. */
export function refused(words: string): Trouble {
  // The searches below are quadratic.
  const said = words.slice(0, 1000)
    // A proxy's page that begins with its status: the title says it all.
    .replace(/^.*?body: (\s|<[^>]*>)*(?=4\d\d|unauth|forbid)/is, "")
    // Behind it stands what was answered, or the command with its arguments.
    .replace(/( body:|<|,? command was:|,? with args beg).*/s, "")
    .slice(0, 99);
  return new Trouble(KINDS.find(([pattern]) => pattern.test(said))?.[1] ?? "lost", said);
}

/** The trouble that an error of the client means. */
export function troubleOf(error: unknown, token: string | undefined): Trouble {
  const { name, message, code, cause }: Raw = Object(error);
  const clean = (said: string): string => said.replaceAll(token || "\0", "***").trim();
  if (/^Upstash/.test(String(name))) return refused(clean(String(message)));
  const told = String(code ?? cause?.code ?? "");
  return new Trouble(
    UNSENT.test(told) ? "unreachable" : "lost",
    clean(`${cause?.message ?? message} ${told}`),
  );
}

/** Whether a repeat may fare better. */
export function passes({ kind }: Trouble): boolean {
  return kind !== "refused";
}
