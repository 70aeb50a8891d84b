/**
 * What went wrong with a request, told from the client's errors, which hold the whole command and may hold the token: only a clean sentence
 * is kept. Pure functions.
 *
 * @module
 */

/** The end of a request that brought no answer. */
export interface Trouble {
  /** The code of its error, behind "broker-" or "backend-". */
  readonly kind: "refused" | "unavailable" | "unreachable" | "lost" | "timeout";
  /** A sentence without secrets. */
  readonly text: string;
  /** Whether the server may have carried it out all the same. */
  readonly doubt: boolean;
}

interface Raw {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly cause?: Raw;
}

/** Before a byte of the request left, certainly: by code where the runtime tells one, by its words on Deno. */
const UNSENT = /REFUSED|NOTFOUND|EAI_|UNREACH|CONNECT_T|Refused|CERT|\(Connect\)/;

/** By the words of Redis, of Upstash, or with which a proxy's page begins. All else leaves open whether the command was carried out. */
const KINDS: readonly (readonly [said: RegExp, kind: Trouble["kind"]])[] = [
  [/\b(408|5\d\d)\b|time.?out|timed|closed|lost|gateway|internal/i, "lost"],
  [/^(OOM|LOADING|READONLY|TRYAGAIN|BUSY|\w+DOWN)|\b429\b|limit|too many/i, "unavailable"],
  [/^([A-Z]{3}|4\d\d|[Uu]nauth|[Ff]orbid)/, "refused"],
];

/** The trouble of this kind. */
export function trouble(kind: Trouble["kind"], text: string): Trouble {
  return { kind, text, doubt: kind === "lost" || kind === "timeout" };
}

/** The trouble that a server's words mean. */
export function refused(words: string): Trouble {
  const said = words
    // A proxy's page that begins with its status: the title says it all.
    .replace(/^.*?body: (\s|<[^>]*>)*(?=4\d\d|unauth|forbid)/is, "")
    // Behind it stands what was answered, or the command with its arguments.
    .replace(/( body:|<|,? command was:|,? with args beg).*/s, "")
    .slice(0, 99);
  return trouble(KINDS.find(([pattern]) => pattern.test(said))?.[1] ?? "lost", said);
}

/** The trouble that an error of the client means. */
export function troubleOf(error: unknown, token: string | undefined): Trouble {
  const { name, message, code, cause }: Raw = Object(error);
  const reason = /^Upstash/.test(String(name))
    ? message
    : `${cause?.message ?? message} ${code ?? cause?.code ?? ""}`;
  const said = String(reason).replaceAll(token || "\0", "***").trim();
  return reason === message ? refused(said) : trouble(UNSENT.test(said) ? "unreachable" : "lost", said);
}

/** Whether a repeat may fare better. */
export function passes({ kind }: Trouble): boolean {
  return kind !== "refused";
}
