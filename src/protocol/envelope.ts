/**
 * kombu's envelope for what JSON has no form for: an object of exactly the keys `__type__` and `__value__`.
 *
 * @module
 */
import { DecodeError } from "../errors.ts";
import { PyDate, PyDatetime, PyDecimal, PyTime, PyUuid } from "./types.ts";

const LONE_SURROGATE = /[\ud800-\udfff]/u;

/** The value in the envelope, or the object itself where it is none. An unknown type is refused, as kombu refuses it. */
export function revive(fields: Record<string, unknown>, exact: boolean): unknown {
  if (
    !Object.hasOwn(fields, "__type__") || !Object.hasOwn(fields, "__value__") ||
    Object.keys(fields).length !== 2
  ) {
    return fields;
  }
  const { __type__: type, __value__: value } = fields;
  try {
    const found = typeof type === "string" ? read(type, value, exact) : undefined;
    if (found !== undefined) return found;
  } catch (cause) {
    throw new DecodeError("decode-json", `A broken ${String(type)} in the JSON.`, { cause });
  }
  const shown = typeof type === "string" ? JSON.stringify(type.slice(0, 40)) : typeof type;
  throw new DecodeError("decode-json", `An unknown or broken __type__ in the JSON: ${shown}.`);
}

function read(type: string, value: unknown, exact: boolean): unknown {
  if (type === "uuid") return readUuid(value);
  if (typeof value !== "string") return undefined;
  switch (type) {
    case "datetime":
      return readDatetime(value, exact);
    case "date":
      return new PyDate(value);
    case "time":
      return new PyTime(value);
    case "decimal":
      return new PyDecimal(value);
    case "bytes":
      // TextEncoder would put U+FFFD for a lone surrogate; Python refuses it.
      return LONE_SURROGATE.test(value) ? undefined : new TextEncoder().encode(value);
    case "base64":
      return readBase64(value);
    default:
      return undefined;
  }
}

function readDatetime(value: string, exact: boolean): unknown {
  const found = new PyDatetime(value);
  return exact ? found : new Date(found.valueOf());
}

function readBase64(value: string): Uint8Array | undefined {
  // atob also takes text without its padding, and spaces.
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return undefined;
  const text = atob(value);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** Takes `hex` alone; kombu 5.3 also wrote `version`. */
function readUuid(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "hex")) return undefined;
  const { hex } = value as { readonly hex: unknown };
  return typeof hex === "string" ? new PyUuid(hex) : undefined;
}
