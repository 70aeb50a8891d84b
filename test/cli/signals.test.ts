import type { StopOptions } from "../../src/worker/shutdown.ts";
import { describe, expect, test } from "vitest";
import { type SignalHost, stopOnSignals } from "../../src/cli/signals.ts";

type Name = Parameters<SignalHost["onSignal"]>[0];

function setup(soft = false, env: Readonly<Record<string, string>> = {}) {
  const handlers = new Map<Name, () => void>();
  const said: string[] = [];
  let now = 1000;
  const host: SignalHost = {
    stdout: { write: (text) => void said.push(text.trim()) },
    env,
    now: () => now,
    onSignal(name, handler) {
      handlers.set(name, handler);
      return { [Symbol.dispose]: () => void handlers.delete(name) };
    },
    exit(code): never {
      throw new Error(`exit ${code}`);
    },
  };
  const stops: string[] = [];
  const worker = {
    stop: ({ how = "warm" }: StopOptions = {}) => {
      stops.push(how);
      return Promise.resolve();
    },
  };
  const watch = stopOnSignals(host, worker, { flush() {} }, () => soft);
  return {
    said,
    handlers,
    watch,
    signal: (name: Name) => handlers.get(name)?.(),
    pass: (ms: number) => void (now += ms),
    stops,
  };
}

describe("the signals of a worker", () => {
  test("the first SIGINT is a warm shutdown, the second a cold one, the third ends the process", () => {
    const bench = setup();
    bench.signal("SIGINT");
    expect(bench.stops).toEqual(["warm"]);
    expect(bench.said).toEqual([
      "worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!",
      "worker: Warm shutdown (MainProcess)",
    ]);
    expect(bench.watch.code).toBe(0);
    bench.pass(500);
    bench.signal("SIGINT");
    // Soft without a time is cold.
    expect(bench.stops).toEqual(["warm", "soft"]);
    expect(bench.said.slice(2)).toEqual([
      "worker: Hitting Ctrl+C again will terminate all running tasks!",
      "worker: Cold shutdown (MainProcess)",
    ]);
    expect(bench.watch.code).toBe(1);
    bench.pass(500);
    expect(() => bench.signal("SIGINT")).toThrow("exit 1");
  });

  test("a SIGINT that a parent passes on just after the terminal sent it is the same one, each time", () => {
    const bench = setup();
    for (let press = 0; press < 2; press++) {
      bench.signal("SIGINT");
      bench.pass(499);
      bench.signal("SIGINT");
      bench.pass(1);
    }
    expect(bench.stops).toEqual(["warm", "soft"]);
  });

  test("SIGTERM is warm however often, also after a colder one; SIGQUIT is cold at once", () => {
    const bench = setup();
    bench.signal("SIGTERM");
    bench.signal("SIGTERM");
    expect(bench.said.join()).not.toMatch(/Cold/);
    expect(bench.watch.code).toBe(0);
    bench.signal("SIGQUIT");
    expect(bench.said.at(-1)).toBe("worker: Cold shutdown (MainProcess)");
    bench.signal("SIGTERM");
    expect(bench.stops).toEqual(["warm", "warm", "soft", "warm"]);
    expect(bench.watch.code).toBe(1);
    expect(() => bench.signal("SIGQUIT")).toThrow("exit 1");
  });

  test("SIGINT after SIGTERM is still the first one", () => {
    const bench = setup();
    bench.signal("SIGTERM");
    bench.signal("SIGINT");
    expect(bench.stops).toEqual(["warm", "warm"]);
    bench.pass(500);
    bench.signal("SIGINT");
    expect(bench.stops).toEqual(["warm", "warm", "soft"]);
  });

  test("a soft shutdown is cut short by the next signal, and the one after it ends the process", () => {
    const bench = setup(true);
    bench.signal("SIGQUIT");
    bench.signal("SIGQUIT");
    expect(bench.stops).toEqual(["soft", "cold"]);
    expect(bench.said.at(-1)).toBe("Waiting gracefully for cold shutdown to complete...");
    bench.pass(500);
    expect(() => bench.signal("SIGINT")).toThrow("exit 1");
  });

  test("REMAP_SIGTERM=SIGQUIT has SIGTERM do as SIGQUIT", () => {
    const bench = setup(true, { REMAP_SIGTERM: "SIGQUIT" });
    bench.signal("SIGTERM");
    expect(bench.stops).toEqual(["soft"]);
    expect(bench.watch.code).toBe(1);
  });

  test("nothing is listened to after the watch is disposed of", () => {
    const bench = setup();
    bench.watch[Symbol.dispose]();
    expect(bench.handlers.size).toBe(0);
  });
});
