/**
 * The end of a dialled connection, the same over every transport: told once, in the broker's own words where it gave some.
 *
 * @module
 */
import type { AMQPBaseClient } from "@cloudamqp/amqp-client";
import { brokerError, codeOf, type Failure, sentenceOf, textOf } from "./errors.ts";
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
  /** Ends it and tells why; only the first call counts. The code is that of the failure unless it is given. */
  lose(failure?: Failure, code?: string): void;
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
  let stood = false;
  const ending: Ending = {
    over: false,
    secured: false,
    opened: (handshake) =>
      handshake.then(() => {
        stood = true;
      }, () => ending.lose()),
    received(parse) {
      if (ending.over) return;
      events.received?.();
      try {
        parse();
      } catch (error) {
        ending.lose({ text: textOf(error) }, "broker-protocol");
      }
    },
    lose(
      failure = { text: "it closed the connection" },
      code = codeOf(target, failure, stood, ending.secured),
    ) {
      if (ending.over) return;
      ending.over = true;
      free();
      events.lost(brokerError(code, target, failure));
    },
    destroy: () => ending.lose({ text: "we closed it" }),
  };
  // The broker's goodbye. The socket's own end comes a turn later, and nothing may be sent in between.
  client.ondisconnect = (error) => ending.lose(sentenceOf(error));
  return ending;
}
