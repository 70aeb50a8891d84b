/**
 * Cuts a stream of chunks into runs of whole frames, whatever the pieces they come in (the library's own assembler loses its place when
 * a WebSocket relay splits a frame header, and throws into the socket's event on garbage).
 *
 * @module
 */

const HEADER = 7;

/**
 * The largest frame that we offer to take, RabbitMQ's own default, over every transport: what a peer put into one header frame must fit
 * into ours. (Our outbox has no buffer per publish, which would make large frames costly.)
 */
export const FRAME_MAX = 131_072;

/** What is taken for a frame where the broker announced no limit. */
export const LONGEST: number = 1 << 28;

/** The bytes are no AMQP. */
export class NotAmqp extends Error {}

/**
 * Takes chunks and hands whole frames on, many at once where they came in one chunk. `limit` is the largest frame allowed, end byte
 * included; asked anew each time, as it is negotiated. Throws `NotAmqp` on an impossible frame type or size; what `frames` throws passes
 * through.
 */
export function frameSplitter(
  limit: () => number,
  frames: (bytes: Uint8Array) => void,
): (chunk: Uint8Array) => void {
  /** The beginning of a frame whose rest has not come, and how much that is. */
  let carry: Uint8Array = new Uint8Array(0);
  let held = 0;

  const keep = (bytes: Uint8Array): void => {
    const needed = held + bytes.length;
    if (needed > carry.length) {
      const larger = new Uint8Array(Math.max(needed, carry.length * 2, 512));
      larger.set(carry.subarray(0, held));
      carry = larger;
    }
    carry.set(bytes, held);
    held = needed;
  };

  return (chunk) => {
    let bytes = chunk;
    if (held > 0) {
      keep(chunk);
      bytes = carry.subarray(0, held);
    }
    const { length } = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    let whole = 0;
    while (whole < length) {
      const type = view.getUint8(whole);
      if (type < 1 || (type > 3 && type !== 8)) throw new NotAmqp(`a frame of type ${type}`);
      if (whole + HEADER > length) break;
      const size = view.getUint32(whole + 3) + 8;
      if (size > limit()) throw new NotAmqp(`a frame of ${size} bytes`);
      if (whole + size > length) break;
      whole += size;
    }
    held = 0;
    if (whole > 0) frames(bytes.subarray(0, whole));
    if (whole < length) keep(bytes.subarray(whole));
  };
}
