/**
 * Cuts a stream of chunks into runs of whole frames, whatever the pieces they come in (the library's own assembler loses its place when
 * a WebSocket relay splits a frame header, and throws into the socket's event on garbage).
 *
 * @module
 */

const HEADER = 7;

/** The class and method of basic.nack, the bytes of its whole frame, and where its bits are. */
const NACK = (60 << 16) | 120;
const NACK_SIZE = 21;
const NACK_BITS = 19;

/**
 * The largest frame that we offer to take, RabbitMQ's own default, over every transport: what a peer put into one header frame must fit
 * into ours. (Our outbox has no buffer per publish, which would make large frames costly.)
 */
export const FRAME_MAX = 131_072;

/** What is taken for a frame where the broker announced no limit. */
export const LONGEST: number = 1 << 28;

/** All parts, as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Takes chunks and hands whole frames on, many at once where they came in one chunk. `limit` is the largest frame allowed, end byte
 * included; asked anew each time, as it is negotiated. A chunk may be changed in place. Throws on an impossible frame type or size; what
 * `frames` throws passes through.
 */
export function frameSplitter(
  limit: () => number,
  frames: (bytes: Uint8Array) => void,
): (chunk: Uint8Array) => void {
  /** The beginning of a frame whose rest has not come, and the size of that frame, where it is known. */
  const held: Uint8Array[] = [];
  let missing = 0;

  return (chunk) => {
    missing -= chunk.length;
    if (missing > 0) {
      held.push(chunk.slice());
      return;
    }
    const bytes = held.length > 0 ? joined([...held.splice(0), chunk]) : chunk;
    const { length } = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    let whole = 0;
    while (whole < length) {
      const type = view.getUint8(whole);
      if (![1, 2, 3, 8].includes(type)) throw new Error(`a frame of type ${type}`);
      if (whole + HEADER > length) break;
      const size = view.getUint32(whole + 3) + 8;
      if (size > limit()) throw new Error(`a frame of ${size} bytes`);
      missing = whole + size - length;
      if (missing > 0) break;
      // The library takes its bits for one number: with RabbitMQ's `requeue` set beside `multiple` it would settle one publish of
      // several. By index, as bundles at the edge count bytes.
      if (type === 1 && size === NACK_SIZE && view.getUint32(whole + HEADER) === NACK) {
        bytes[whole + NACK_BITS]! &= 1;
      }
      whole += size;
    }
    if (whole > 0) frames(bytes.subarray(0, whole));
    if (whole < length) held.push(bytes.slice(whole));
  };
}
