/**
 * The library's view of received bytes with its faults cured: unknown field types and 64-bit integers, `__proto__` as a key, byte arrays
 * that point into a buffer which is used again, headers that cannot be read or are nested without end.
 *
 * @module
 */
import { AMQPView } from "@cloudamqp/amqp-client/amqp-view";

const decoder = new TextDecoder();

/** Up to this length a string is first looked for among those seen lately: header names, task names, queues come again and again. */
const SHORT = 32;

/** How deep tables and arrays are read, as deep as we write them; RabbitMQ itself has no limit, our stack has. */
const DEEPEST = 100;

/** What stands between a header frame's size and its properties: class, weight, size of the body. */
const BEFORE_PROPERTIES = 12;

/** What stands before the payload of a frame: type, channel, size. */
const FRAME_HEADER = 7;

/** The strings seen lately, by hash; a newcomer takes the place. */
const seen: string[] = new Array<string>(1024).fill("");

/** A value of a header table. */
type Field = ReturnType<AMQPView["getField"]>[0];

/** A view over whole frames, read by the library's parser. */
export class CarefulView extends AMQPView {
  readonly #bytes: Uint8Array;
  readonly #buffer: Buffer | undefined;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    super(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bytes = bytes;
    this.#buffer = typeof Buffer === "undefined"
      ? undefined
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  override getShortString(at: number): [string, number] {
    const length = this.getUint8(at);
    return [this.#text(at + 1, length), length + 1];
  }

  override getLongString(at: number): [string, number] {
    const length = this.getUint32(at);
    return [this.#text(at + 4, length), length + 4];
  }

  /**
   * The properties of a header frame. Those that cannot be read are none at all: an error would end the connection, the message would come
   * again on the next one, and so for ever.
   */
  override getProperties(at: number): ReturnType<AMQPView["getProperties"]> {
    const length = this.#endOfFrame(at) - at;
    try {
      const [properties, read] = super.getProperties(at);
      // The library leaves cluster_id unread, which may come last.
      if (read <= length) return [properties, length];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#depth = 0;
    }
    return [{}, length];
  }

  override getTable(at: number): [Record<string, Field>, number] {
    const table: Record<string, Field> = {};
    const end = at + 4 + this.getUint32(at);
    let next = at + 4;
    while (next < end) {
      const [key, keyLength] = this.getShortString(next);
      const [value, length] = this.getField(next + keyLength);
      next += keyLength + length;
      // Assignment would set the prototype and so lose the value, or poison lookups.
      if (key === "__proto__") {
        Object.defineProperty(table, key, { value, enumerable: true, writable: true, configurable: true });
      } else table[key] = value;
    }
    return [table, next - at];
  }

  override getField(at: number): [Field, number] {
    switch (this.getUint8(at)) {
      case 0x53: {
        const [text, length] = this.getLongString(at + 1);
        return [text, length + 1];
      }
      case 0x46:
        return this.#nested(at, () => this.getTable(at + 1)[0]);
      case 0x41:
        return this.#nested(at, () => this.#array(at + 1));
      case 0x56:
        return [null, 1];
      case 0x49:
        return [this.getInt32(at + 1), 5];
      // RabbitMQ reads both letters as signed; py-amqp writes "L".
      case 0x6c:
      case 0x4c:
        return [exact(this.getBigInt64(at + 1)), 9];
      case 0x78: {
        const length = this.getUint32(at + 1);
        return [this.#slice(at + 5, length).slice(), length + 5];
      }
      case 0x44:
        return [this.getInt32(at + 2) / 10 ** this.getUint8(at + 1), 6];
      default:
        return super.getField(at);
    }
  }

  /** A table or an array behind its type and its length: null below the deepest level. */
  #nested(at: number, read: () => Field): [Field, number] {
    const length = 5 + this.getUint32(at + 1);
    if (this.#depth >= DEEPEST) return [null, length];
    this.#depth++;
    const value = read();
    this.#depth--;
    return [value, length];
  }

  #array(at: number): Field[] {
    const items: Field[] = [];
    const end = at + 4 + this.getUint32(at);
    for (let next = at + 4; next < end;) {
      const [item, length] = this.getField(next);
      items.push(item);
      next += length;
    }
    return items;
  }

  /** Where the payload of the header frame ends whose properties begin at `at`; bytes without a frame end with the view. */
  #endOfFrame(at: number): number {
    const payload = at - BEFORE_PROPERTIES;
    return payload < FRAME_HEADER ? this.byteLength : payload + this.getUint32(payload - 4);
  }

  #text(at: number, length: number): string {
    if (length > SHORT) return this.#decode(at, length);
    const bytes = this.#bytes;
    let hash = length;
    for (let i = at; i < at + length; i++) hash = (hash * 31 + (bytes[i] ?? 0)) | 0;
    const slot = hash & 1023;
    const text = seen[slot] ?? "";
    if (text.length === length) {
      let i = 0;
      while (i < length && text.charCodeAt(i) === bytes[at + i]) i++;
      // Each character equals its byte: below 128 that is UTF-8 too, and only such strings are kept.
      if (i === length) return text;
    }
    const fresh = this.#decode(at, length);
    if (fresh.length === length) seen[slot] = fresh;
    return fresh;
  }

  #decode(at: number, length: number): string {
    if (at + length > this.#bytes.length) {
      throw new RangeError(`a string of ${length} bytes ends outside its frame`);
    }
    // Node's own is faster by half; workerd may lack it.
    return this.#buffer === undefined
      ? decoder.decode(this.#bytes.subarray(at, at + length))
      : this.#buffer.toString("utf8", at, at + length);
  }

  #slice(at: number, length: number): Uint8Array {
    if (at + length > this.#bytes.length) throw new RangeError(`${length} bytes end outside their frame`);
    return this.#bytes.subarray(at, at + length);
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
