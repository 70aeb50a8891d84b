/**
 * The end of a dialled connection, the same over every transport: told once, in the broker's own words where it gave some.
 *
 * @module
 */
import type { AMQPBaseClient } from "@cloudamqp/amqp-client";
import type { ConnectionError } from "../../src/errors.ts";
import {
  connectError,
  connectionSentence,
  type Failure,
  lostError,
  protocolError,
  textOf,
} from "./errors.ts";
import type { Target } from "./url.ts";
import type { WireEvents } from "./wire.ts";

/** One connection from its first byte to its end. */
export interface Ending {
  over: boolean;
  /** Whether TLS, where wanted, stood. */
  secured: boolean;
  /** The library's handshake; settles with it, and tells its failure as the end. */
  opened(handshake: Promise<unknown>): Promise<void>;
  /** Something came; what `parse` throws says that it is no AMQP. */
  received(parse: () => void): void;
  /** Ends it and tells why; only the first call counts. */
  lose(failure?: Failure, error?: ConnectionError): void;
  /** Ends it by our own wish. */
  destroy(): void;
}

/** Hears the broker's goodbye by `client`; `free` frees the socket. */
export function endingOf(
  client: AMQPBaseClient,
  target: Target,
  events: WireEvents,
  free: () => void,
): Ending {
  let stands = false;
  let words: Failure | undefined;
  const ending: Ending = {
    over: false,
    secured: false,
    opened: (handshake) =>
      handshake.then(() => {
        stands = true;
      }, () => ending.lose()),
    received(parse) {
      if (ending.over) return;
      events.received();
      try {
        parse();
      } catch (error) {
        ending.lose(undefined, protocolError(target, textOf(error)));
      }
    },
    lose(failure, error) {
      if (ending.over) return;
      ending.over = true;
      free();
      const why = words ?? failure ?? { text: "it closed the connection" };
      events.lost(error ?? (stands ? lostError(target, why) : connectError(target, why, ending.secured)));
    },
    destroy: () => ending.lose(undefined, lostError(target, { text: "we closed it" })),
  };
  client.onerror = (error) => {
    const sentence = connectionSentence(error);
    if (sentence) words = { text: sentence.text, sentence };
  };
  // The socket's own end comes a turn later, and nothing may be sent in between.
  client.ondisconnect = () => ending.lose();
  return ending;
}
