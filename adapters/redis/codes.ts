/**
 * The codes of what Redis does wrong, as the broker and as the backend.
 *
 * @module
 */

/** What of the two it is. */
export type Role = "broker" | "backend";

/** The codes by kind. */
export interface Codes {
  readonly url: string;
  readonly credentials: string;
  readonly tls: string;
  readonly refused: string;
  readonly unavailable: string;
  readonly unreachable: string;
  readonly lost: string;
  readonly timeout: string;
  readonly closed: string;
}

/** The codes of both roles. */
export const CODES: Readonly<Record<Role, Codes>> = {
  broker: {
    url: "broker-url-invalid",
    credentials: "broker-credentials-refused",
    tls: "broker-tls",
    refused: "broker-refused",
    unavailable: "broker-unavailable",
    unreachable: "broker-unreachable",
    lost: "broker-lost",
    timeout: "broker-timeout",
    closed: "broker-closed",
  },
  backend: {
    url: "backend-url-invalid",
    credentials: "backend-credentials-refused",
    tls: "backend-tls-refused",
    refused: "backend-refused",
    unavailable: "backend-unavailable",
    unreachable: "backend-unreachable",
    lost: "backend-lost",
    timeout: "backend-timeout",
    closed: "backend-closed",
  },
};
