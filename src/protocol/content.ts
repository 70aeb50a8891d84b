/**
 * Values to bytes and back: serializer, compression, and the allow-list that stands before every decoding.
 *
 * @module
 */
import { ConfigurationError, ContentDisallowedError, DecodeError, EncodeError } from "../errors.ts";
import { compressBody, decompress } from "./compression.ts";
import { encodeJson } from "./json-writer.ts";
import { DEFAULT_LIMITS, type Limits, mostDecompressed } from "./limits.ts";
import type { Message } from "./message.ts";
import { decoder, encoder } from "./utf8.ts";

/** kombu's serializers by name. Peers compare the content type byte for byte. */
const TYPES: ReadonlyMap<string, string> = /* @__PURE__ */ new Map([
  ["json", "application/json"],
  ["yaml", "application/x-yaml"],
  ["msgpack", "application/x-msgpack"],
  ["pickle", "application/x-python-serialize"],
]);

/** Names under which peers say that a JSON body is UTF-8 (kombu takes "binary" for it too). */
const UTF8: ReadonlySet<string> = /* @__PURE__ */ new Set([
  "",
  "utf-8",
  "utf8",
  "us-ascii",
  "ascii",
  "binary",
]);

/** A value made ready for the wire. */
export interface Packed {
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Uint8Array;
  /** The MIME type for the header `compression`; absent where the body is not compressed. */
  readonly compression?: string;
}

/** How a value is packed. */
export interface PackOptions {
  /** Celery's name of a serializer. @default "json" */
  readonly serializer?: string;
  /** "gzip", or null for none. @default null */
  readonly compression?: string | null | undefined;
  /** @default DEFAULT_LIMITS */
  readonly limits?: Limits;
}

/**
 * The bytes of a value. A promise only where it is compressed.
 *
 * @throws {ConfigurationError} `serializer-unsupported`, `compression-unsupported`.
 * @throws {EncodeError} as `encodeJson`, and `encode-too-large`.
 */
export function packContent(value: unknown, options: PackOptions = {}): Packed | Promise<Packed> {
  const { serializer = "json", limits = DEFAULT_LIMITS } = options;
  assertSerializer(serializer);
  return packText(encodeJson(value, limits.maxDepth), options);
}

/** As {@link packContent}, of JSON text that is written already. */
export function packText(text: string, options: PackOptions = {}): Packed | Promise<Packed> {
  const { serializer = "json", compression, limits = DEFAULT_LIMITS } = options;
  assertSerializer(serializer);
  const body = encoder.encode(text);
  if (body.length > limits.maxBody) {
    throw new EncodeError(
      "encode-too-large",
      `The body is ${body.length} bytes, more than ${limits.maxBody}.`,
    );
  }
  const packed: Packed = { contentType: "application/json", contentEncoding: "utf-8", body };
  return compression ? compressBody(body, compression).then((made) => ({ ...packed, ...made })) : packed;
}

/**
 * Refuses a serializer that we cannot write.
 *
 * @throws {ConfigurationError} `serializer-unsupported`.
 */
export function assertSerializer(name: string): void {
  if (name === "json" || name === "application/json") return;
  throw new ConfigurationError(
    "serializer-unsupported",
    `Cannot write ${JSON.stringify(String(name).slice(0, 40))}.`,
    { hint: `Use "json"${name === "pickle" ? ": pickle is never read or written here" : ""}.` },
  );
}

/** How a body is opened. */
export interface OpenOptions {
  /** Names ("json") or MIME types that may be read: Celery's `accept_content`. */
  readonly accept: readonly string[];
  /** @default DEFAULT_LIMITS */
  readonly limits?: Limits;
  /** Resolves in a later turn of the event loop; workerd needs it to stop at the limit (see `decompress`). @default none */
  readonly turn?: (() => Promise<void>) | undefined;
}

/**
 * The JSON text of a message, after the allow-list, the size limits and decompression. A promise only where it is compressed.
 *
 * @throws {ContentDisallowedError} `content-disallowed`.
 * @throws {DecodeError} `decode-content-type` (none, or one that only other readers know), `decode-encoding`, `decode-utf8`,
 * `decode-too-large`, `decode-compression`, `compression-unsupported`.
 */
export function openContent(message: Message, options: OpenOptions): string | Promise<string> {
  const { limits = DEFAULT_LIMITS } = options;
  assertReadable(message, options.accept);
  if (message.body.length > limits.maxBody) {
    throw new DecodeError(
      "decode-too-large",
      `The body is ${message.body.length} bytes, more than ${limits.maxBody}.`,
    );
  }
  if (!isCompressed(message)) return utf8(message.body);
  const max = mostDecompressed(message.body.length, limits);
  return decompress(message.body, message.headers["compression"], max, options.turn).then(utf8);
}

/** Whether {@link openContent} of this message takes a promise. */
export function isCompressed({ headers: { compression } }: Message): boolean {
  return compression !== undefined && compression !== null && compression !== "";
}

function assertReadable(message: Message, accept: readonly string[]): void {
  const { contentType, contentEncoding } = message;
  if (contentType === "" || typeof contentType !== "string") {
    throw new DecodeError("decode-content-type", "The message says no content type.");
  }
  if (!accept.some((name) => name === contentType || TYPES.get(name) === contentType)) {
    throw new ContentDisallowedError(
      "content-disallowed",
      `Refusing to deserialize untrusted content of type ${JSON.stringify(contentType.slice(0, 80))}.`,
    );
  }
  if (contentType !== "application/json") {
    throw new DecodeError(
      "decode-content-type",
      `Cannot read ${JSON.stringify(contentType.slice(0, 80))} here.`,
      {
        hint: "Only JSON is read.",
      },
    );
  }
  if (!UTF8.has(String(contentEncoding ?? "").toLowerCase())) {
    throw new DecodeError(
      "decode-encoding",
      `Cannot read JSON in ${JSON.stringify(String(contentEncoding).slice(0, 40))}.`,
    );
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new DecodeError("decode-utf8", "The body is not UTF-8.", { cause });
  }
}
