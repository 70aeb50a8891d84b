/**
 * AMQP's tables, arrays and values, as they are written.
 *
 * @module
 */
import { EncodeError } from "../../src/errors.ts";
import type { Outbox } from "./outbox.ts";

/** How deep tables and arrays may be nested; RabbitMQ itself has no limit, our stack has. */
const DEEPEST = 100;

/** A table behind its length, as py-amqp types it. Undefined is left out. `header` is the one that it stands in. */
export function writeTable(
  out: Outbox,
  table: Readonly<Record<string, unknown>>,
  depth = 0,
  header?: string,
): void {
  const mark = out.end;
  out.u32(0);
  for (const key of Object.keys(table)) {
    const value = table[key];
    if (value === undefined) continue;
    out.shortString(key);
    writeField(out, value, depth, header ?? key);
  }
  out.setU32(mark, out.end - mark - 4);
}

/** One value, with py-amqp's choice of types. */
function writeField(out: Outbox, value: unknown, depth: number, header: string): void {
  switch (typeof value) {
    case "string":
      out.u8(0x53);
      return out.longString(value);
    case "boolean":
      out.u8(0x74);
      return out.u8(value ? 1 : 0);
    case "number":
      if (Number.isSafeInteger(value)) {
        if (value !== value >> 0) return writeLong(out, BigInt(value));
        out.u8(0x49);
        return out.u32(value);
      }
      // RabbitMQ would close the connection, and take what others have on its way along.
      if (!Number.isFinite(value)) {
        throw invalid(`The header ${JSON.stringify(header.slice(0, 80))} cannot be ${value}.`);
      }
      out.u8(0x64);
      return out.f64(value);
    case "bigint":
      return writeLong(out, value);
    case "object":
      return writeObject(out, value, depth + 1, header);
    case "undefined":
      return out.u8(0x56);
    default:
      throw invalid(`A header cannot be a ${typeof value}.`);
  }
}

function writeLong(out: Outbox, value: bigint): void {
  if (BigInt.asIntN(64, value) !== value) throw invalid("A header integer must fit into 64 bits.");
  // "l" is what every client knows; but py-amqp reads it as unsigned, and has "L" for what may be negative. RabbitMQ takes both.
  out.u8(value < 0n ? 0x4c : 0x6c);
  out.i64(value);
}

function writeObject(out: Outbox, value: object | null, depth: number, header: string): void {
  if (value === null) return out.u8(0x56);
  if (depth > DEEPEST) throw invalid(`Headers are nested deeper than ${DEEPEST} levels.`);
  if (Array.isArray(value)) {
    out.u8(0x41);
    const mark = out.end;
    out.u32(0);
    for (const item of value) writeField(out, item, depth, header);
    out.setU32(mark, out.end - mark - 4);
  } else if (value instanceof Uint8Array) {
    out.u8(0x78);
    out.u32(value.length);
    out.raw(value);
  } else if (value instanceof Date) {
    out.u8(0x54);
    out.i64(seconds(value));
  } else {
    out.u8(0x46);
    writeTable(out, value as Readonly<Record<string, unknown>>, depth, header);
  }
}

function invalid(text: string): EncodeError {
  return new EncodeError("amqp-header", text);
}

/** A timestamp: whole seconds since the epoch. */
export function seconds(value: unknown): bigint {
  const number = value instanceof Date ? value.getTime() / 1000 : Number(value);
  if (Number.isFinite(number)) return BigInt(Math.floor(number));
  throw new EncodeError("amqp-property", "The property timestamp must be a number of seconds.");
}

/** A property of one byte. */
export function octet(name: string, value: unknown): number {
  const number = Number(value);
  if ((number & 255) === number) return number;
  throw new EncodeError("amqp-property", `The property ${name} must be from 0 to 255.`);
}
