/**
 * The frames that we write ourselves: basic.publish, basic.ack, basic.nack and the heartbeat. The library would write headers with
 * fractions as 32-bit floats, integers from 2^31 on with their sign lost, and leave out priority 0.
 *
 * @module
 */
import type { Message } from "../../src/broker.ts";
import { EncodeError } from "../../src/errors.ts";
import { seconds, writeTable } from "./fields.ts";
import type { Outbox } from "./outbox.ts";

const FRAME_END = 206;
const BASIC = 60;

/** An empty heartbeat frame on channel 0. */
export const HEARTBEAT: Uint8Array = Uint8Array.of(8, 0, 0, 0, 0, 0, 0, FRAME_END);

/** Property flags in AMQP's order, as they follow in a header frame. */
const FLAGS = {
  contentType: 0x8000,
  contentEncoding: 0x4000,
  headers: 0x2000,
  delivery_mode: 0x1000,
  priority: 0x0800,
  correlation_id: 0x0400,
  reply_to: 0x0200,
  expiration: 0x0100,
  message_id: 0x0080,
  timestamp: 0x0040,
  type: 0x0020,
  user_id: 0x0010,
  app_id: 0x0008,
  cluster_id: 0x0004,
} as const;

/** The properties that are short strings, before and after the timestamp. */
const EARLY_STRINGS = ["correlation_id", "reply_to", "expiration", "message_id"] as const;
const LATE_STRINGS = ["type", "user_id", "app_id", "cluster_id"] as const;

/** Where a message is published to. */
export interface Route {
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
}

/**
 * Writes basic.publish with its header and body frames.
 *
 * @throws {EncodeError} `amqp-string-too-long`, `amqp-header`, `amqp-frame-too-large`; the outbox is then as before.
 */
export function writePublish(
  out: Outbox,
  channel: number,
  frameMax: number,
  route: Route,
  message: Message,
): void {
  const mark = out.end;
  try {
    out.u8(1);
    out.u16(channel);
    out.u32(0);
    out.u16(BASIC);
    out.u16(40);
    out.u16(0);
    out.shortString(route.exchange);
    out.shortString(route.routingKey);
    out.u8(route.mandatory ? 1 : 0);
    out.setU32(mark + 3, out.end - mark - 7);
    out.u8(FRAME_END);

    const header = out.end;
    out.u8(2);
    out.u16(channel);
    out.u32(0);
    out.u16(BASIC);
    out.u16(0);
    out.u64(message.body.length);
    writeProperties(out, message);
    const size = out.end - header - 7;
    if (size + 8 > frameMax) {
      throw new EncodeError(
        "amqp-frame-too-large",
        `The headers take ${size} bytes; AMQP cannot split them, and the broker's frames hold ${
          frameMax - 8
        }.`,
      );
    }
    out.setU32(header + 3, size);
    out.u8(FRAME_END);
  } catch (error) {
    out.rewind(mark);
    throw error;
  }
  const { body } = message;
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, frameMax - 8);
    out.u8(3);
    out.u16(channel);
    out.u32(size);
    out.raw(size === body.length ? body : body.subarray(at, at + size));
    out.u8(FRAME_END);
    at += size;
  }
  out.commit();
}

/** Writes the flags and the properties that are present. */
export function writeProperties(out: Outbox, message: Message): void {
  const { properties } = message;
  const start = out.end;
  let flags = 0;
  out.u16(0);
  if (message.contentType !== "") {
    flags |= FLAGS.contentType;
    out.shortString(message.contentType);
  }
  if (message.contentEncoding !== "") {
    flags |= FLAGS.contentEncoding;
    out.shortString(message.contentEncoding);
  }
  flags |= FLAGS.headers;
  writeTable(out, message.headers);
  for (const name of ["delivery_mode", "priority"] as const) {
    const value = properties[name];
    if (value === undefined || value === null) continue;
    flags |= FLAGS[name];
    out.u8(octet(name, value));
  }
  for (const name of EARLY_STRINGS) flags |= writeString(out, name, properties[name]);
  const { timestamp } = properties as { timestamp?: unknown };
  if (timestamp !== undefined && timestamp !== null) {
    flags |= FLAGS.timestamp;
    out.i64(seconds(timestamp));
  }
  for (const name of LATE_STRINGS) flags |= writeString(out, name, properties[name]);
  // The flags stand before what they announce.
  out.setU16(start, flags);
}

function writeString(out: Outbox, name: keyof typeof FLAGS, value: unknown): number {
  if (value === undefined || value === null) return 0;
  out.shortString(String(value));
  return FLAGS[name];
}

function octet(name: string, value: unknown): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 0 && number <= 255) return number;
  throw new EncodeError("amqp-property", `The property ${name} must be an integer from 0 to 255.`);
}

/** basic.ack; `multiple` takes every outstanding tag up to this one, which must be outstanding itself. */
export function writeAck(out: Outbox, channel: number, tag: number, multiple: boolean): void {
  settle(out, channel, 80, tag, multiple ? 1 : 0);
}

/** basic.nack for one tag: back to the queue, or dead-lettered. */
export function writeNack(out: Outbox, channel: number, tag: number, requeue: boolean): void {
  settle(out, channel, 120, tag, requeue ? 2 : 0);
}

function settle(out: Outbox, channel: number, method: number, tag: number, bits: number): void {
  out.u8(1);
  out.u16(channel);
  out.u32(13);
  out.u16(BASIC);
  out.u16(method);
  out.u64(tag);
  out.u8(bits);
  out.u8(FRAME_END);
  out.commit();
}
