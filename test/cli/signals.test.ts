import { describe, expect, test } from "vitest";
import { type SignalHost, stopOnSignals } from "../../src/cli/signals.ts";

type Name = Parameters<SignalHost["onSignal"]>[0];

function setup() {
  const handlers = new Map<Name, () => void>();
  const said: string[] = [];
  let now = 1000;
  const host: SignalHost = {
    stdout: { write: (text) => void said.push(text.trim()) },
    now: () => now,
    onSignal(name, handler) {
      handlers.set(name, handler);
      return { [Symbol.dispose]: () => void handlers.delete(name) };
    },
    exit(code): never {
      throw new Error(`exit ${code}`);
    },
  };
  let stops = 0;
  const worker = {
    stop: () => {
      stops += 1;
      return Promise.resolve();
    },
  };
  const watches = stopOnSignals(host, worker, { flush() {} });
  return {
    said,
    handlers,
    watches,
    signal: (name: Name) => handlers.get(name)?.(),
    pass: (ms: number) => void (now += ms),
    stops: () => stops,
  };
}

describe("the signals of a worker", () => {
  test("the first SIGINT is a warm shutdown, a later one a cold one", () => {
    const bench = setup();
    bench.signal("SIGINT");
    expect(bench.stops()).toBe(1);
    expect(bench.said.at(-1)).toBe("worker: Warm shutdown (MainProcess)");
    bench.pass(500);
    expect(() => bench.signal("SIGINT")).toThrow("exit 1");
    expect(bench.said.at(-1)).toBe("worker: Cold shutdown (MainProcess)");
  });

  test("a SIGINT that a parent passes on just after the terminal sent it is the same one", () => {
    const bench = setup();
    bench.signal("SIGINT");
    bench.pass(499);
    bench.signal("SIGINT");
    expect(bench.stops()).toBe(1);
    expect(bench.said.join()).not.toMatch(/Cold/);
  });

  test("SIGTERM is warm however often, SIGQUIT is cold", () => {
    const bench = setup();
    bench.signal("SIGTERM");
    bench.signal("SIGTERM");
    expect(bench.said.join()).not.toMatch(/Cold/);
    expect(() => bench.signal("SIGQUIT")).toThrow("exit 1");
  });

  test("nothing is listened to after the watches are disposed", () => {
    const bench = setup();
    for (const watch of bench.watches) watch[Symbol.dispose]();
    expect(bench.handlers.size).toBe(0);
  });
});
