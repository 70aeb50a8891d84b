/**
 * How a command fails: as RabbitMQ refuses it, or because the fake does not know it.
 *
 * @module
 */
import { CeleriacError } from "../../../src/errors.ts";

/** RabbitMQ 3.10 would take this and the fake does not: said aloud, never guessed. Code `fake-unsupported`. */
export class FakeUnsupported extends CeleriacError {
  /** The name of the class. */
  override name = "FakeUnsupported";

  /** `what` ends the sentence "The memory broker does not know …". */
  constructor(what: string) {
    super("fake-unsupported", `The memory broker does not know ${what}.`, {
      hint: "Leave it out, or use a real RabbitMQ.",
    });
  }
}

const NAMES: Readonly<Record<number, string>> = {
  403: "ACCESS_REFUSED",
  404: "NOT_FOUND",
  405: "RESOURCE_LOCKED",
  406: "PRECONDITION_FAILED",
  503: "COMMAND_INVALID",
  504: "CHANNEL_ERROR",
  530: "NOT_ALLOWED",
  540: "NOT_IMPLEMENTED",
};

const LONGEST = 255;

/** An AMQP error; from 500 on it ends the connection, below only the channel. */
export class Fault {
  readonly code: number;
  readonly text: string;

  constructor(code: number, text: string) {
    this.code = code;
    const whole = `${NAMES[code] ?? "ERROR"} - ${text}`;
    // The text travels in 255 bytes.
    this.text = whole.length > LONGEST ? `${whole.slice(0, LONGEST - 3)}...` : whole;
  }

  get endsConnection(): boolean {
    return this.code >= 500;
  }
}
