/**
 * What goes wrong with a socket, before there is a server to speak to.
 *
 * @module
 */
import { CeleriacError, ConnectionError } from "../../src/errors.ts";
import { codesOf, fault, placeOf, type Subject } from "./fault.ts";

/** Node's and OpenSSL's codes of a TLS handshake that failed. */
const TLS = /CERT|SELF_SIGNED|UNABLE_TO|ERR_SSL|ERR_TLS|EPROTO/;

/** The coded error; errors of ours pass as they are. */
export function socketFault(error: unknown, subject: Subject): CeleriacError {
  const met = fault(error, subject);
  const { cause } = met;
  if (error instanceof CeleriacError || !(cause instanceof Error) || !TLS.test(codeOf(cause))) return met;
  return new ConnectionError(
    codesOf(subject).tls,
    `${placeOf(subject)}: the TLS handshake failed: ${cause.message}.`,
    {
      cause,
      hint:
        "Check the certificate, or give ssl_ca_certs in the URL or the option tls; a server without TLS wants redis://.",
    },
  );
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
