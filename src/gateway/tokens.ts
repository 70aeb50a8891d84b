/**
 * Who may come in, found without telling by its time how near a guess was.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Finds what a token opens. */
export class Tokens<T> {
  readonly #doors: readonly { readonly digest: Uint8Array; readonly what: T }[];

  /** @param doors what each token opens; only digests of the tokens are kept */
  constructor(doors: Iterable<readonly [token: string, what: T]>) {
    this.#doors = Array.from(doors, ([token, what]) => ({ digest: digest(token), what }));
  }

  /** What the token opens, if anything. Digests are compared, all of them, and each whole. */
  find(token: string): T | undefined {
    const given = digest(token);
    let found: T | undefined;
    for (const door of this.#doors) if (timingSafeEqual(door.digest, given)) found = door.what;
    return found;
  }
}

/** The token of a request: of the header, else of the parameter `_token`. */
export function tokenOf(authorization: string | null, parameter: string | null): string | undefined {
  if (authorization === null) return parameter ?? undefined;
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1];
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
