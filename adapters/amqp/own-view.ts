/**
 * The library's view of bytes for messages of our own: it writes what the library would write wrongly (fractions as 32-bit floats,
 * integers from 2^31 on with their sign lost, priority 0 not at all), and leaves the properties of what comes back as bytes, to be compared.
 *
 * @module
 */
import type { AMQPView } from "@cloudamqp/amqp-client/amqp-view";
import type { Message, Outgoing } from "../../src/broker.ts";
import { EncodeError } from "../../src/errors.ts";
import { BASIC, FRAME_END, octet, PROPERTIES } from "./encode.ts";

/** What stands before the properties in a header frame: class, weight, size of the body. */
const BEFORE_PROPERTIES = 12;

type Field = Parameters<AMQPView["setField"]>[1];
type Table = Parameters<AMQPView["setTable"]>[1];

/** A view over whole frames that came, or over a page to write on. */
export interface OwnView extends AMQPView {
  /** Hands the frames of a publish to `send`, which copies them; gives its properties as they went out. */
  write(outgoing: Outgoing, channel: number, send: (bytes: Uint8Array) => void): Uint8Array;
}

/** The class of views; no module of its own imports the library, as that may be missing until a connection is opened. */
export async function ownView(): Promise<new (bytes: Uint8Array) => OwnView> {
  const library = await import("@cloudamqp/amqp-client/amqp-view");
  return class extends library.AMQPView {
    constructor(bytes: Uint8Array) {
      super(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    override getProperties(at: number): [never, number] {
      // The frame's own size stands before its payload.
      const size = this.getUint32(at - BEFORE_PROPERTIES - 4) - BEFORE_PROPERTIES;
      return [this.#bytes(at, at + size).slice() as never, size];
    }

    write(
      { message, to, mustRoute }: Outgoing,
      channel: number,
      send: (bytes: Uint8Array) => void,
    ): Uint8Array {
      const { body } = message;
      let at = this.#open(0, 1, channel, 40);
      this.setUint16(at, 0);
      at += 2;
      at += this.setShortString(at, to.exchange);
      at += this.setShortString(at, to.routingKey);
      this.setUint8(at, mustRoute ? 1 : 0);
      const header = this.#close(0, at + 1);
      const properties = this.#open(header, 2, channel, 0) + 8;
      this.setUint64(properties - 8, body.length);
      at = properties + this.setProperties(properties, message);
      const written = this.#bytes(properties, at).slice();
      send(this.#bytes(0, this.#close(header, at)));
      const most = this.byteLength - 8;
      for (at = 0; at < body.length; at += most) {
        const part = body.subarray(at, at + most);
        this.#open(0, 3, channel, 0);
        this.#bytes(7, most + 7).set(part);
        send(this.#bytes(0, this.#close(0, part.length + 7)));
      }
      return written;
    }

    override setProperties(start: number, message: object): number {
      const { contentType, contentEncoding, headers, properties } = message as Message;
      let flags = 0;
      let at = start + 2;
      [contentType || null, contentEncoding || null, headers, ...PROPERTIES.map((name) => properties[name])]
        .forEach((value, index) => {
          if (value === undefined || value === null) return;
          flags |= 0x8000 >> index;
          if (index === 2) at += this.setTable(at, headers as Table);
          else if (index === 3 || index === 4) this.setUint8(at++, octet(PROPERTIES[index - 3] ?? "", value));
          else if (index === 9) at += this.#setLong(at, BigInt(Math.floor(Number(value))));
          else at += this.setShortString(at, String(value));
        });
      this.setUint16(start, flags);
      return at - start;
    }

    override setField(at: number, field: Field): number {
      const whole = typeof field === "bigint" || Number.isSafeInteger(field);
      if (whole && field !== Number(field) >> 0) {
        const long = BigInt(field as number);
        if (BigInt.asIntN(64, long) !== long) {
          throw new EncodeError("amqp-header", "A header integer must fit into 64 bits.");
        }
        // py-amqp reads "l" as unsigned, and has "L" for what may be negative.
        this.setUint8(at, long < 0n ? 0x4c : 0x6c);
        return 1 + this.#setLong(at + 1, long);
      }
      if (whole || typeof field !== "number") return super.setField(at, field);
      this.setUint8(at, 0x64);
      this.setFloat64(at + 1, field);
      return 9;
    }

    #bytes(from: number, to: number): Uint8Array {
      return new Uint8Array(this.buffer, this.byteOffset + from, to - from);
    }

    #setLong(at: number, value: bigint): number {
      this.setBigInt64(at, value);
      return 8;
    }

    /** A frame of the class basic; its size comes with `#close`. Where its arguments begin. */
    #open(at: number, type: number, channel: number, method: number): number {
      this.setUint8(at, type);
      this.setUint16(at + 1, channel);
      this.setUint16(at + 7, BASIC);
      this.setUint16(at + 9, method);
      return at + 11;
    }

    #close(start: number, end: number): number {
      this.setUint32(start + 3, end - start - 7);
      this.setUint8(end, FRAME_END);
      return end + 1;
    }
  };
}
