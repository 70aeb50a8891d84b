/**
 * Bytes on their way out: frames are written into one buffer and leave together when the present turn of the event loop is over.
 *
 * @module
 */
import { EncodeError } from "../../src/errors.ts";

const utf8 = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** A fresh buffer is at least this big; an ack has 21 bytes, a task about 900. */
const SMALLEST = 2048;

/** Beyond this the buffer leaves at once, so that a burst of large messages is not copied again and again while it grows. */
const FULL = 1 << 20;

/** Up to this length a loop over the characters beats the call into `encodeInto`. */
const SHORT = 48;

/** One connection's outgoing bytes. */
export class Outbox {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #later: (callback: () => void) => void;
  readonly #writers: (() => void)[] = [];
  #bytes: Uint8Array = EMPTY;
  #view: DataView = new DataView(EMPTY.buffer);
  #end = 0;
  #used = 0;
  #scheduled = false;
  /** How often bytes left. What was added while this was n is certainly still here as long as it is n. */
  flushes = 0;

  /** `later` calls back once the present turn of the event loop is over. */
  constructor(write: (bytes: Uint8Array) => void, later: (callback: () => void) => void) {
    this.#write = write;
    this.#later = later;
  }

  /** Where the next byte goes: a mark for `rewind` and `setU32`. */
  get end(): number {
    return this.#end;
  }

  /** Takes back everything added since `mark` was `end`, in the same tick. */
  rewind(mark: number): void {
    this.#end = mark;
  }

  /** Bytes added since `mark`. */
  since(mark: number): Uint8Array {
    return this.#bytes.slice(mark, this.#end);
  }

  /** Ends a frame or a run of frames: they leave at the end of the turn. */
  commit(): void {
    if (this.#end >= FULL) this.flush();
    else this.#schedule();
  }

  /** Makes room for so many bytes at once: in steps, all that is here would be copied with each. */
  reserve(count: number): void {
    this.#room(count);
  }

  /** Calls `writer` just before the bytes of this turn leave, to add what it gathered. */
  beforeFlush(writer: () => void): void {
    this.#writers.push(writer);
    this.#schedule();
  }

  /** Sends what is here now. */
  flush(): void {
    for (const writer of this.#writers.splice(0)) writer();
    if (this.#end === 0) return;
    const bytes = this.#bytes.subarray(0, this.#end);
    // The socket keeps the old buffer until the kernel took it, so it is never written to again.
    this.#used = this.#end;
    this.#bytes = EMPTY;
    this.#end = 0;
    this.flushes++;
    this.#write(bytes);
  }

  /** Adds whole frames. */
  append(bytes: Uint8Array): void {
    this.raw(bytes);
    this.commit();
  }

  u8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    this.setU16(this.#take(2), value);
  }

  u32(value: number): void {
    this.setU32(this.#take(4), value);
  }

  i64(value: bigint): void {
    const at = this.#take(8);
    this.#view.setBigInt64(at, value);
  }

  /** A number below 2^53 as 64 bits. */
  u64(value: number): void {
    this.u32(Math.floor(value / 2 ** 32));
    this.u32(value >>> 0);
  }

  f64(value: number): void {
    const at = this.#take(8);
    this.#view.setFloat64(at, value);
  }

  /** Overwrites four bytes at `mark`: a length that is known afterwards. */
  setU32(mark: number, value: number): void {
    this.#view.setUint32(mark, value);
  }

  /** As {@link setU32}, two bytes. */
  setU16(mark: number, value: number): void {
    this.#view.setUint16(mark, value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A string of at most 255 bytes behind its length. */
  shortString(text: string): void {
    this.u8(0);
    const length = this.#text(text);
    if (length > 255) {
      throw new EncodeError(
        "amqp-string-too-long",
        `AMQP allows 255 bytes in a name, this one has ${length}: ${text.slice(0, 40)}…`,
      );
    }
    this.#bytes[this.#end - length - 1] = length;
  }

  /** A string of any length behind its length. */
  longString(text: string): void {
    this.u32(0);
    const length = this.#text(text);
    this.setU32(this.#end - length - 4, length);
  }

  #text(text: string): number {
    const length = text.length;
    this.#room(length * 3);
    const start = this.#end;
    if (length <= SHORT) {
      const bytes = this.#bytes;
      let at = 0;
      for (; at < length; at++) {
        const code = text.charCodeAt(at);
        if (code > 127) break;
        bytes[start + at] = code;
      }
      if (at === length) {
        this.#end = start + length;
        return length;
      }
    }
    const { written } = utf8.encodeInto(text, this.#bytes.subarray(start));
    this.#end = start + written;
    return written;
  }

  /** Makes room for `count` bytes. */
  #room(count: number): void {
    const needed = this.#end + count;
    if (needed <= this.#bytes.length) return;
    // A first guess from the last flush: steady traffic then never grows.
    const wanted = this.#end === 0 ? this.#used + (this.#used >> 2) : this.#bytes.length * 2;
    const bytes = new Uint8Array(Math.max(needed, Math.min(wanted, 2 * FULL), SMALLEST));
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** Where the next `count` bytes go. */
  #take(count: number): number {
    this.#room(count);
    const at = this.#end;
    this.#end += count;
    return at;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(() => {
      this.#scheduled = false;
      this.flush();
    });
  }
}
