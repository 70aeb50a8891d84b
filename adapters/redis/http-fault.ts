/**
 * Coded errors of requests over HTTP.
 *
 * @module
 */
import { ConnectionError } from "../../src/errors.ts";
import { Trouble } from "./http-trouble.ts";

/** Whoever refuses the token, by Redis's words or a proxy's. */
const CREDENTIALS = /^(ERR )?(WRONGPASS|NOAUTH|NOPERM|40[13]\b|unauth|forbid)/i;

type Kind = Trouble["kind"] | "credentials";

const CODES: Readonly<Record<"broker" | "backend", Readonly<Record<Kind, string>>>> = {
  broker: {
    credentials: "broker-credentials-refused",
    refused: "broker-refused",
    unavailable: "broker-unavailable",
    unreachable: "broker-unreachable",
    lost: "broker-lost",
    timeout: "broker-timeout",
  },
  backend: {
    credentials: "backend-credentials-refused",
    refused: "backend-refused",
    unavailable: "backend-unavailable",
    unreachable: "backend-unreachable",
    lost: "backend-lost",
    timeout: "backend-timeout",
  },
};

const HINTS: Readonly<Record<Kind, string>> = {
  credentials: "Check the REST token; one that reads only cannot write.",
  refused: "Look at the server.",
  unavailable: "Try again later.",
  unreachable: "Check the url.",
  lost: "Whether it was carried out is not known.",
  timeout: "Look at the server, or give more time.",
};

/** The error of a trouble. */
export function faultOf(role: "broker" | "backend", address: string, met: Trouble): ConnectionError {
  const kind = met.kind === "refused" && CREDENTIALS.test(met.text) ? "credentials" : met.kind;
  return new ConnectionError(CODES[role][kind], `The Redis ${role} at ${address}: ${met.text}.`, {
    hint: HINTS[kind],
  });
}

/** The trouble of an answer that does not fit the question. */
export function misfit(): Trouble {
  return new Trouble("lost", "the answer is of another kind than was asked for");
}
