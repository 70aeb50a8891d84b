/**
 * Ports of 127.0.0.1 for servers that are to be found there again after a restart.
 *
 * @module
 */
import { connect } from "node:net";

/**
 * Below the ports that Linux (32768) and macOS (49152) give to outgoing connections and to servers that ask for any port: while a server of
 * the tests is down, none of them gets its place.
 */
const FROM = 14_000;
const TO = 32_000;

/** What this process was given. */
const given = new Set<number>();

/** A port that is free now, was not given before, and stays free but by a rare chance. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

/** True when nobody listens there. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}
