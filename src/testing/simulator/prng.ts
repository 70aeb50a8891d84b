/**
 * Chance that comes again: the same seed gives the same numbers on every runtime.
 *
 * @module
 */
import type { Ids, Random } from "../../lib/port.ts";

/** Two hex digits of each byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Four words of state from a seed and a text (cyrb128 of bryc): near seeds give streams that have nothing in common. */
function stateOf(seed: number, text: string): [number, number, number, number] {
  let [a, b, c, d] = [1779033703, 3144134277, 1013904242, 2773480762];
  const words = [
    seed | 0,
    Math.floor(seed / 2 ** 32) | 0,
    ...Array.from(text, (char) => char.codePointAt(0) ?? 0),
  ];
  for (const word of words) {
    a = b ^ Math.imul(a ^ word, 597399067);
    b = c ^ Math.imul(b ^ word, 2869860233);
    c = d ^ Math.imul(c ^ word, 951274213);
    d = a ^ Math.imul(d ^ word, 2716044179);
  }
  a = Math.imul(c ^ (a >>> 18), 597399067);
  b = Math.imul(d ^ (b >>> 22), 2869860233);
  c = Math.imul(a ^ (c >>> 17), 951274213);
  d = Math.imul(b ^ (d >>> 19), 2716044179);
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a];
}

/** A small fast generator, sfc32 (PractRand finds nothing in it), and ids made of it. */
export class Prng implements Random, Ids {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** `seed` is a whole number up to 2^53; `stream` names one of the many streams of the seed. */
  constructor(seed: number, stream = "") {
    [this.#a, this.#b, this.#c, this.#counter] = stateOf(seed, stream);
    for (let round = 0; round < 12; round++) this.word();
  }

  /** 32 bits. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  next(): number {
    // 53 bits, as Math.random has them.
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }

  uuid(): string {
    const [a, b, c, d] = [this.word(), this.word(), this.word(), this.word()];
    return `${hex(a)}-${hex16(b >>> 16)}-${hex16(b & 0x0fff | 0x4000)}-${hex16(c >>> 16 & 0x3fff | 0x8000)}-${
      hex16(c & 0xffff)
    }${hex(d)}`;
  }
}

function hex16(word: number): string {
  return `${HEX[word >>> 8]}${HEX[word & 255]}`;
}

function hex(word: number): string {
  return hex16(word >>> 16) + hex16(word & 0xffff);
}

/** Picks without end, drawn from the seed: a schedule for a simulator that tries what would not happen by itself. */
export function* picksOf(seed: number): Generator<number, never, undefined> {
  const random = new Prng(seed, "picks");
  // Half of them let the oldest event go first: what depends on the others is found the more easily.
  for (;;) yield random.word() & 1 ? 0 : random.word() >>> 16;
}
