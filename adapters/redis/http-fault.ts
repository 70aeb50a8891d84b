/**
 * Coded errors of requests over HTTP.
 *
 * @module
 */
import { ConnectionError } from "../../src/errors.ts";
import { CODES, type Role } from "./codes.ts";
import { Trouble } from "./http-trouble.ts";

/** Whoever refuses the token, by Redis's words or a proxy's. */
const CREDENTIALS = /^(ERR )?(WRONGPASS|NOAUTH|NOPERM|40[13]\b|unauth|forbid)/i;

type Kind = Trouble["kind"] | "credentials";

const HINTS: Readonly<Record<Kind, string>> = {
  credentials: "Check the REST token; one that reads only cannot write.",
  refused: "Look at the server.",
  unavailable: "Try again later.",
  unreachable: "Check the url.",
  lost: "Whether it was carried out is not known.",
  timeout: "Look at the server, or give more time.",
};

/** The error of a trouble. */
export function faultOf(role: Role, address: string, met: Trouble): ConnectionError {
  const kind = met.kind === "refused" && CREDENTIALS.test(met.text) ? "credentials" : met.kind;
  return new ConnectionError(CODES[role][kind], `The Redis ${role} at ${address}: ${met.text}.`, {
    hint: HINTS[kind],
  });
}

/** The trouble of an answer that does not fit the question. */
export function misfit(): Trouble {
  return new Trouble("lost", "the answer is of another kind than was asked for");
}
