/** Compressed messages are opened one at a time, in order, and none holds up the others. */
import { afterEach, describe, expect, test } from "vitest";
import { compress } from "../../src/protocol/compression.ts";
import { setup } from "./setup.ts";

const Real = globalThis.DecompressionStream;

/** Counts how many streams are open at once. */
function watchStreams(): { most: number; made: number } {
  const seen = { most: 0, made: 0 };
  let open = 0;
  const Watched = function (format: CompressionFormat): unknown {
    const stream = new Real(format);
    seen.made++;
    seen.most = Math.max(seen.most, ++open);
    const end = new TransformStream({
      flush() {
        open--;
      },
    });
    return { writable: stream.writable, readable: stream.readable.pipeThrough(end) };
  };
  globalThis.DecompressionStream = Watched as unknown as typeof DecompressionStream;
  return seen;
}

afterEach(() => {
  globalThis.DecompressionStream = Real;
});

const headers = (id: string): Readonly<Record<string, unknown>> => ({
  task: "t.add",
  id,
  compression: "application/x-gzip",
});

describe("compressed messages", () => {
  test("of one prefetch are opened one at a time, in order", async () => {
    await using bench = setup();
    const order: number[] = [];
    bench.app.task("t.add", (at: number) => void order.push(at));
    const ids = Array.from({ length: 8 }, (_, at) => `id-${at}`);
    for (const [at, id] of ids.entries()) {
      const text = `[[${at}, "${"x".repeat(at % 2 === 0 ? 500_000 : 10)}"], {}, {}]`;
      await bench.push({ headers: headers(id), body: await compress(new TextEncoder().encode(text)) });
    }
    const seen = watchStreams();
    bench.work();
    for (const id of ids) await bench.sees(id, "SUCCESS");
    expect(seen).toEqual({ most: 1, made: 8 });
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("that cannot be opened do not hold up the next one", async () => {
    await using bench = setup();
    bench.app.task("t.add", () => 1);
    await bench.push({ headers: headers("bad"), body: new Uint8Array(9) });
    await bench.push({ headers: headers("bad"), contentType: "text/plain", body: new Uint8Array(9) });
    await bench.push({
      headers: headers("good"),
      body: await compress(new TextEncoder().encode("[[], {}, {}]")),
    });
    bench.work();
    await bench.sees("good", "SUCCESS");
    expect(bench.lines.filter(({ level }) => level === "critical" || level === "error")).toHaveLength(2);
  });

  test("and plain ones keep to the setting contentLimits", async () => {
    await using bench = setup({ contentLimits: { maxValues: 10, maxDecompressed: 1000 } });
    bench.app.task("t.add", () => 1);
    await bench.pushTask({ id: "many" }, [[[1, 2, 3, 4, 5, 6, 7, 8]], {}, {}]);
    await bench.push({
      headers: headers("large"),
      body: await compress(new TextEncoder().encode(`[["${"x".repeat(2000)}"], {}, {}]`)),
    });
    await bench.pushTask({ id: "good" }, [[1, 2, 3], {}, {}]);
    bench.work();
    await bench.sees("good", "SUCCESS");
    await bench.says(/More than 10 values/);
    await bench.says(/more than 1000 bytes after decompression/);
  });
});
