/**
 * AMQP as it goes over a wire: a stream cut into frames, and what stands in those that tests look at or write themselves.
 *
 * @module
 */

/** A frame, whole. */
export interface Frame {
  readonly frame: Buffer;
  /** Class and method, as in "60.40" (basic.publish); or "header", "body", "heartbeat", "greeting". */
  readonly method: string;
}

/** Where the payload of a frame begins, and the arguments of a method. */
const PAYLOAD = 7;
const ARGUMENTS = 11;

/** Cuts a stream into AMQP frames. */
export class Frames {
  #held: Buffer = Buffer.alloc(0);

  push(bytes: Uint8Array): Frame[] {
    this.#held = Buffer.concat([this.#held, bytes]);
    const frames: Frame[] = [];
    for (;;) {
      const held = this.#held;
      // The greeting "AMQP0091" is no frame.
      const size = held[0] === 65 ? 8 : held.length < PAYLOAD ? PAYLOAD : held.readUInt32BE(3) + 8;
      if (held.length < size || held.length < 8) return frames;
      const method = held[0] === 1
        ? `${held.readUInt16BE(PAYLOAD)}.${held.readUInt16BE(PAYLOAD + 2)}`
        : held[0] === 2
        ? "header"
        : held[0] === 3
        ? "body"
        : held[0] === 8
        ? "heartbeat"
        : "greeting";
      frames.push({ frame: held.subarray(0, size), method });
      this.#held = held.subarray(size);
    }
  }
}

/** The channel that a frame belongs to. */
export function channelOf(frame: Buffer): number {
  return frame.readUInt16BE(1);
}

/** What a settlement or a confirm names: the tag, and whether it means all up to it. */
export function namedBy({ frame, method }: Frame): { readonly tag: number; readonly multiple: boolean } {
  const bits = frame.readUInt8(ARGUMENTS + 8);
  // basic.reject knows no `multiple`: its bit is `requeue`.
  return {
    tag: Number(frame.readBigUInt64BE(ARGUMENTS)),
    multiple: method !== "60.90" && (bits & 1) === 1,
  };
}

/** The tag of a basic.deliver. */
export function tagOf(frame: Buffer): number {
  return Number(frame.readBigUInt64BE(ARGUMENTS + 1 + frame.readUInt8(ARGUMENTS)));
}

/** The correlation id in a content header, which is the task's id; "" where there is none. */
export function correlationOf(frame: Buffer): string {
  const flags = frame.readUInt16BE(PAYLOAD + 12);
  let at = PAYLOAD + 14;
  const short = (): string => {
    const from = at + 1;
    at = from + frame.readUInt8(at);
    return frame.toString("utf8", from, at);
  };
  // Content type and encoding, headers, delivery mode and priority stand before it.
  if ((flags & 0x8000) > 0) short();
  if ((flags & 0x4000) > 0) short();
  if ((flags & 0x2000) > 0) at += 4 + frame.readUInt32BE(at);
  if ((flags & 0x1000) > 0) at++;
  if ((flags & 0x0800) > 0) at++;
  return (flags & 0x0400) > 0 ? short() : "";
}

/** The same basic.publish to a queue by the default exchange. */
export function publishTo(queue: string, frame: Buffer): Buffer {
  const key = Buffer.from(queue);
  // Behind the class, the method and a reserved number stand the exchange and the key; before the end byte the bits.
  const rest = frame.subarray(-2, -1);
  const payload = Buffer.concat([
    frame.subarray(PAYLOAD, ARGUMENTS + 2),
    Buffer.from([0, key.length]),
    key,
    rest,
  ]);
  return framed(channelOf(frame), payload);
}

/** A basic.ack or basic.nack of the server, as the confirm of a publish. */
export function confirmFrame(
  { channel, is, deliveryTag, multiple }: {
    readonly channel: number;
    readonly is: "basic.ack" | "basic.nack";
    readonly deliveryTag: number;
    readonly multiple: boolean;
  },
): Buffer {
  const payload = Buffer.alloc(13);
  payload.writeUInt16BE(60, 0);
  payload.writeUInt16BE(is === "basic.ack" ? 80 : 120, 2);
  payload.writeBigUInt64BE(BigInt(deliveryTag), 4);
  payload.writeUInt8(multiple ? 1 : 0, 12);
  return framed(channel, payload);
}

/** A method frame. */
function framed(channel: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(PAYLOAD);
  head.writeUInt8(1, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}
