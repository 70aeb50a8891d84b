/**
 * The frames of a settlement, as bytes: the library would send each by itself.
 *
 * @module
 */
import { BASIC, FRAME_END } from "./encode.ts";
import type { Outbox } from "./outbox.ts";

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
