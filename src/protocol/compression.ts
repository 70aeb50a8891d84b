/**
 * Compression of message bodies. kombu's "gzip" is a zlib stream (RFC 1950), which the web calls "deflate".
 *
 * @module
 */
import { ConfigurationError, DecodeError } from "../errors.ts";

/** What kombu calls each kind, name or MIME type, and the MIME type that travels in the header `compression`. */
const NAMES: ReadonlyMap<string, string> = /* @__PURE__ */ new Map([
  ...["gzip", "zlib", "application/x-gzip"].map((name) => [name, "application/x-gzip"] as const),
  ...["bzip2", "bzip", "application/x-bz2"].map((name) => [name, "application/x-bz2"] as const),
  ...["lzma", "xz", "application/x-lzma"].map((name) => [name, "application/x-lzma"] as const),
  ...["brotli", "application/x-brotli"].map((name) => [name, "application/x-brotli"] as const),
  ...["zstd", "zstandard", "application/zstd"].map((name) => [name, "application/zstd"] as const),
]);

const ZLIB = "application/x-gzip";

/**
 * The body compressed in the way that is named, and the MIME type that says so.
 *
 * @throws {ConfigurationError} `compression-unsupported`, at once.
 */
export function compressBody(
  bytes: Uint8Array,
  name: string,
): Promise<{ readonly body: Uint8Array; readonly compression: string }> {
  if (NAMES.get(name) === ZLIB) {
    // edge-runtime has none.
    if (typeof CompressionStream === "undefined") {
      throw new ConfigurationError("compression-unsupported", "This runtime has no CompressionStream.", {
        hint: "Send without compression from here.",
      });
    }
    return compress(bytes).then((body) => ({ body, compression: ZLIB }));
  }
  throw new ConfigurationError(
    "compression-unsupported",
    `Cannot compress with ${JSON.stringify(name.slice(0, 40))}.`,
    { hint: 'Use "gzip".' },
  );
}

/** The zlib stream of the bytes. */
export function compress(bytes: Uint8Array): Promise<Uint8Array> {
  return pump(bytes, new CompressionStream("deflate"), { piece: Infinity, max: Infinity });
}

/**
 * The bytes in a compressed body; stops as soon as they are more than `max`.
 *
 * @param turn resolves in a later turn of the event loop; waited for between pieces where one is given. workerd's stream takes
 * every piece at once: without it the whole is inflated before the first byte can be counted.
 * @throws {DecodeError} `compression-unsupported`, `decode-compression` (broken data), `decode-too-large`.
 */
export async function decompress(
  bytes: Uint8Array,
  type: unknown,
  max: number,
  turn?: () => Promise<void>,
): Promise<Uint8Array> {
  if (typeof type !== "string" || NAMES.get(type) !== ZLIB) {
    const shown = typeof type === "string" ? JSON.stringify(type.slice(0, 40)) : typeof type;
    throw new DecodeError(
      "compression-unsupported",
      `The body is compressed with ${shown}, which cannot be read here.`,
      {
        hint: 'Let its sender use "gzip" or none.',
      },
    );
  }
  if (typeof DecompressionStream === "undefined") {
    throw new DecodeError("compression-unsupported", "This runtime has no DecompressionStream.", {
      hint: "Let its sender use no compression.",
    });
  }
  try {
    const plain = await pump(bytes, new DecompressionStream("deflate"), { piece: PIECE, max, turn });
    if (bytes.length >= SHORTEST && adler32(plain) === trailer(bytes)) return plain;
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause;
    throw new DecodeError("decode-compression", "The compressed body is broken.", { cause });
  }
  // Deno takes a stream that was cut short for a whole one.
  throw new DecodeError("decode-compression", "The compressed body is cut short.");
}

/** The zlib stream of nothing. */
const SHORTEST = 8;

/** Deno inflates each piece that it is given to the end: a small piece cannot grow far beyond the limit (zlib's best is 1:1032). */
const PIECE = 4096;

async function pump(bytes: Uint8Array, through: Transform, bounds: Bounds): Promise<Uint8Array> {
  const { max } = bounds;
  const fed = feed(bytes, bounds, through.writable.getWriter());
  // Its failure is the reader's failure too, which is awaited below.
  fed.catch(() => {});
  const reader = through.readable.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > max) {
      await reader.cancel().catch(() => {});
      throw new DecodeError("decode-too-large", `The body is more than ${max} bytes after decompression.`);
    }
    chunks.push(value);
  }
  await fed;
  return joined(chunks, size);
}

async function feed(
  bytes: Uint8Array,
  { piece, turn }: Bounds,
  writer: WritableStreamDefaultWriter<BufferSource>,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += piece) {
    if (at > 0 && turn !== undefined) await turn();
    await writer.write(bytes.subarray(at, at + piece) as BufferSource);
  }
  await writer.close();
}

/** Bytes given to the stream at a time, bytes that it may give, and what is waited for in between. */
interface Bounds {
  readonly piece: number;
  readonly max: number;
  readonly turn?: (() => Promise<void>) | undefined;
}

interface Transform {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<BufferSource>;
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** The checksum that ends a zlib stream. */
function adler32(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (let at = 0; at < bytes.length;) {
    // So many bytes can be added up before the sums must be reduced.
    const end = Math.min(at + 3800, bytes.length);
    for (; at < end; at++) {
      low += bytes[at] ?? 0;
      high += low;
    }
    low %= 65_521;
    high %= 65_521;
  }
  return high * 65_536 + low;
}

function trailer(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0);
}
