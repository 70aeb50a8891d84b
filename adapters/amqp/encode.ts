/**
 * The frames of a publish, which we write ourselves. The library would write headers with fractions as 32-bit floats, integers from 2^31
 * on with their sign lost, and leave out priority 0.
 *
 * @module
 */
import type { Message } from "../../src/broker.ts";
import { EncodeError } from "../../src/errors.ts";
import { octet, seconds, writeTable } from "./fields.ts";
import type { Outbox } from "./outbox.ts";

/** The last byte of every frame. */
export const FRAME_END = 206;
/** The number of the class basic. */
export const BASIC = 60;

/** The properties behind content type, content encoding and headers, in AMQP's order. */
export const PROPERTIES: readonly string[] =
  "delivery_mode priority correlation_id reply_to expiration message_id timestamp type user_id app_id cluster_id"
    .split(" ");

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
  const { body } = message;
  try {
    openFrame(out, 1, channel, 40);
    out.u16(0);
    out.shortString(route.exchange);
    out.shortString(route.routingKey);
    out.u8(route.mandatory ? 1 : 0);
    closeFrame(out, mark);

    const header = out.end;
    openFrame(out, 2, channel, 0);
    out.u64(body.length);
    writeProperties(out, message);
    const size = closeFrame(out, header);
    if (size + 8 > frameMax) {
      throw new EncodeError(
        "amqp-frame-too-large",
        `The headers take ${size} bytes; AMQP cannot split them, and the broker's frames hold ${
          frameMax - 8
        }.`,
      );
    }
  } catch (error) {
    out.rewind(mark);
    throw error;
  }
  const most = frameMax - 8;
  out.reserve(body.length + 8 * Math.ceil(body.length / most));
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, most);
    out.u8(3);
    out.u16(channel);
    out.u32(size);
    out.raw(size === body.length ? body : body.subarray(at, at + size));
    out.u8(FRAME_END);
    at += size;
  }
  out.commit();
}

/** A frame of the class basic. Its size comes with `closeFrame`. */
function openFrame(out: Outbox, type: number, channel: number, method: number): void {
  out.u8(type);
  out.u16(channel);
  out.u32(0);
  out.u16(BASIC);
  out.u16(method);
}

function closeFrame(out: Outbox, mark: number): number {
  const size = out.end - mark - 7;
  out.setU32(mark + 3, size);
  out.u8(FRAME_END);
  return size;
}

/** Writes the flags and the properties that are present. */
export function writeProperties(out: Outbox, message: Message): void {
  const { contentType, contentEncoding, headers, properties } = message;
  const start = out.end;
  let flags = 0x2000;
  out.u16(0);
  if (contentType !== "") {
    flags |= 0x8000;
    out.shortString(contentType);
  }
  if (contentEncoding !== "") {
    flags |= 0x4000;
    out.shortString(contentEncoding);
  }
  writeTable(out, headers);
  let flag = 0x2000;
  for (const name of PROPERTIES) {
    flag >>= 1;
    const value = properties[name];
    if (value === undefined || value === null) continue;
    flags |= flag;
    if (flag > 0x0400) out.u8(octet(name, value));
    else if (flag === 0x0040) out.i64(seconds(value));
    else out.shortString(String(value));
  }
  // The flags stand before what they announce.
  out.setU16(start, flags);
}
