/**
 * Cuts a stream of chunks into runs of whole frames, whatever the pieces they come in (the library's own assembler loses its place when
 * a WebSocket relay splits a frame header, and throws into the socket's event on garbage).
 *
 * @module
 */

const HEADER = 7;

/** The bytes are no AMQP. */
export class NotAmqp extends Error {}

/** Collects chunks; hands whole frames on, many at once where they came in one chunk. */
export class FrameSplitter {
  readonly #frames: (bytes: Uint8Array) => void;
  readonly #limit: () => number;
  /** The beginning of a frame whose rest has not come. */
  #carry: Uint8Array = new Uint8Array(0);
  #held = 0;

  /** `limit` is the largest frame allowed, end byte included; asked anew each time, as it is negotiated. */
  constructor(limit: () => number, frames: (bytes: Uint8Array) => void) {
    this.#limit = limit;
    this.#frames = frames;
  }

  /** @throws {NotAmqp} on an impossible frame type or size; what `frames` throws passes through. */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (this.#held > 0 && rest.length > 0) rest = this.#complete(rest);
    let whole = 0;
    for (;;) {
      const size = this.#sizeAt(rest, whole);
      if (size === 0 || whole + size > rest.length) break;
      whole += size;
    }
    if (whole > 0) this.#frames(whole === rest.length ? rest : rest.subarray(0, whole));
    if (whole < rest.length) this.#keep(rest.subarray(whole));
  }

  /** Feeds the held frame; returns what is left of `bytes`. */
  #complete(bytes: Uint8Array): Uint8Array {
    let rest = bytes;
    if (this.#held < HEADER) {
      const part = rest.subarray(0, HEADER - this.#held);
      this.#keep(part);
      rest = rest.subarray(part.length);
    }
    const size = this.#sizeAt(this.#carry.subarray(0, this.#held), 0);
    if (size === 0) return rest;
    const part = rest.subarray(0, size - this.#held);
    this.#keep(part);
    if (this.#held === size) {
      const frame = this.#carry.subarray(0, size);
      this.#held = 0;
      this.#frames(frame);
    }
    return rest.subarray(part.length);
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#held + bytes.length;
    if (needed > this.#carry.length) {
      const carry = new Uint8Array(Math.max(needed, this.#carry.length * 2, 512));
      carry.set(this.#carry.subarray(0, this.#held));
      this.#carry = carry;
    }
    this.#carry.set(bytes, this.#held);
    this.#held = needed;
  }

  /** The whole size of the frame that begins at `at`, 0 while its header is incomplete. */
  #sizeAt(bytes: Uint8Array, at: number): number {
    const type = bytes[at];
    if (type === undefined) return 0;
    if (type < 1 || (type > 3 && type !== 8)) throw new NotAmqp(`a frame of type ${type}`);
    if (at + HEADER > bytes.length) return 0;
    const size = new DataView(bytes.buffer, bytes.byteOffset + at + 3, 4).getUint32(0);
    if (size + 8 > this.#limit()) throw new NotAmqp(`a frame of ${size} bytes`);
    return size + 8;
  }
}
