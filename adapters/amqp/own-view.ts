/**
 * The library's view of bytes for messages of our own: it writes the numbers that the library would write wrongly (fractions as 32-bit
 * floats, integers from 2^31 on with their sign lost).
 *
 * @module
 */
import type { AMQPView } from "@cloudamqp/amqp-client/amqp-view";
import type { AMQPProperties } from "@cloudamqp/amqp-client/amqp-properties";
import type { Message } from "../../src/broker.ts";
import { EncodeError } from "../../src/errors.ts";
import { octet } from "./fields.ts";

type Field = Parameters<AMQPView["setField"]>[1];

/** A view over whole frames that came, or over a page to write on. */
export type OwnView = new (bytes: Uint8Array) => AMQPView;

/** The class of views; no module of its own imports the library, as that may be missing until a connection is opened. */
export async function ownView(): Promise<OwnView> {
  const library = await import("@cloudamqp/amqp-client/amqp-view");
  return class extends library.AMQPView {
    constructor(bytes: Uint8Array) {
      super(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    /** Nobody looks at the headers of what comes back, and the library cannot read all that we write. */
    override getTable(at: number): ReturnType<AMQPView["getTable"]> {
      return [{}, this.getUint32(at) + 4];
    }

    override setField(at: number, field: Field): number {
      const whole = typeof field === "bigint" || Number.isSafeInteger(field);
      if (whole ? field === Number(field) >> 0 : typeof field !== "number") return super.setField(at, field);
      const long = whole && BigInt(field as number);
      // RabbitMQ closes the connection for NaN and what is infinite.
      if (whole ? BigInt.asIntN(64, long as bigint) !== long : !isFinite(field as number)) {
        throw new EncodeError("amqp-header", `A header of ${field}.`);
      }
      // py-amqp reads "l" as unsigned, and has "L" for what may be negative.
      this.setUint8(at, whole ? (field as number) < 0 ? 0x4c : 0x6c : 0x64);
      if (whole) this.setBigInt64(at + 1, long as bigint);
      else this.setFloat64(at + 1, field as number);
      return 9;
    }
  };
}

/**
 * What stands in the header frame of a message, as the library takes it: it leaves out what is falsy, so that priority 0 is a text, which
 * it writes as the number.
 */
export function libraryProperties(
  { contentType, contentEncoding, headers, properties }: Message,
): AMQPProperties {
  const named = Object.entries(properties).filter(([, value]) => value !== undefined && value !== null);
  return {
    ...Object.fromEntries(named.map(([name, value]) => [
      name.replace(/_./, (pair) => pair.slice(1).toUpperCase()),
      String(
        name === "timestamp"
          ? 1000 * Number(value)
          : /^(priority|delivery_mode)$/.test(name)
          ? octet(name, value)
          : value,
      ),
    ])),
    contentType,
    contentEncoding,
    headers,
  } as unknown as AMQPProperties;
}
