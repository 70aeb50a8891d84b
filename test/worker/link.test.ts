import { describe, expect, test } from "vitest";
import type { Broker, BrokerEvent } from "../../src/broker.ts";
import { ConfigurationError, ConnectionError } from "../../src/errors.ts";
import type { Clock } from "../../src/lib/port.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { intercept, setup, type SetupOptions } from "./setup.ts";

const refused = new ConnectionError(
  "broker-unreachable",
  "The broker at h:1 cannot be reached: connect ECONNREFUSED.",
);

/** A broker that refuses the first connects, and whose news the test makes. */
function shaky(refusals: readonly Error[]) {
  const listeners = new Set<(event: BrokerEvent) => void>();
  const left = [...refusals];
  const wrapBroker = (broker: Broker): Broker =>
    intercept(broker, {
      address: "amqp://guest:***@h:1//",
      connect(call) {
        const refusal = left.shift();
        return refusal === undefined ? broker.connect(call) : Promise.reject(refusal);
      },
      observe(listener) {
        listeners.add(listener);
        return { [Symbol.dispose]: () => void listeners.delete(listener) };
      },
    });
  return {
    wrapBroker,
    listeners,
    emit: (event: BrokerEvent) => listeners.forEach((listener) => listener(event)),
  };
}

/** Long waits pass at once, and are noted. */
function hurried(): { readonly waits: number[]; readonly options: Pick<SetupOptions, "platform"> } {
  const waits: number[] = [];
  const { clock } = systemPlatform;
  const quick: Clock = {
    ...clock,
    after(ms, callback, options) {
      if (ms >= 1000) waits.push(ms);
      return clock.after(Math.min(ms, 1), callback, options);
    },
  };
  return { waits, options: { platform: { ...systemPlatform, clock: quick } } };
}

describe("a broker that is away at the start", () => {
  test("is tried again at kombu's pace, told in Celery's words, and then the worker is ready", async () => {
    const { wrapBroker } = shaky([refused, refused]);
    const { waits, options } = hurried();
    await using bench = setup({ wrapBroker, ...options });
    bench.work({ hostname: "w1@box" });
    await bench.says(/^w1@box ready\.$/);
    expect(waits.slice(0, 2)).toEqual([2000, 4000]);
    const told = bench.lines.filter((line) => line.level === "error").map((line) => line.message);
    const cannot =
      "consumer: Cannot connect to amqp://guest:***@h:1//: The broker at h:1 cannot be reached: connect ECONNREFUSED.";
    expect(told).toEqual([
      `${cannot}\nTrying again in 2.00 seconds... (1/100)\n`,
      `${cannot}\nTrying again in 4.00 seconds... (2/100)\n`,
    ]);
    await bench.says(/^Connected to amqp:\/\/guest:\*\*\*@h:1\/\/$/);
  });

  test("ends the worker at once where the setting says so", async () => {
    const { wrapBroker } = shaky([refused]);
    await using bench = setup({ wrapBroker, brokerConnectionRetryOnStartup: false });
    await expect(bench.work().done).rejects.toBe(refused);
  });

  test("ends the worker after as many attempts as the setting says", async () => {
    const { wrapBroker } = shaky([refused, refused, refused, refused]);
    const { waits, options } = hurried();
    await using bench = setup({ wrapBroker, brokerConnectionMaxRetries: 2, ...options });
    await expect(bench.work().done).rejects.toBe(refused);
    expect(waits).toEqual([2000, 4000]);
  });

  test.each([
    new ConnectionError("broker-credentials-refused", "no"),
    new ConnectionError("broker-vhost-missing", "no"),
    new ConfigurationError("broker-url-invalid", "no"),
  ])("ends the worker at once where no repeat can help: $code", async (error) => {
    const { wrapBroker } = shaky([error]);
    await using bench = setup({ wrapBroker });
    await expect(bench.work().done).rejects.toBe(error);
  });

  test("does not keep a worker that is stopped meanwhile", async () => {
    const { wrapBroker } = shaky(Array.from({ length: 50 }, () => refused));
    await using bench = setup({ wrapBroker });
    const { worker, done } = bench.work();
    await bench.says(/Cannot connect/);
    await worker.stop();
    await done;
  });
});

describe("a link that is lost", () => {
  const lost = new ConnectionError("broker-lost", "The connection to the broker at h:1 was lost: reset.");

  test("is told, each attempt with it, and so is its return", async () => {
    const { wrapBroker, emit } = shaky([]);
    await using bench = setup({ wrapBroker });
    bench.work();
    await bench.says(/ready\.$/);
    emit({ is: "down", link: "publish", error: lost, retryIn: 10 });
    emit({ is: "down", link: "consume", error: lost, retryIn: 500 });
    emit({ is: "down", link: "consume", error: refused, retryIn: 1500 });
    emit({ is: "up", link: "consume" });
    emit({ is: "down", link: "consume", error: lost, retryIn: 500 });
    const told = bench.lines.map((line) => `${line.level} ${line.message.split("\n")[0]}`).slice(-5);
    expect(told).toEqual([
      expect.stringMatching(/^info .*ready\.$/),
      "warning consumer: Connection to broker lost. Trying to re-establish the connection...",
      "error consumer: Cannot connect to amqp://guest:***@h:1//: The broker at h:1 cannot be reached: connect ECONNREFUSED.",
      "info Connected to amqp://guest:***@h:1//",
      "warning consumer: Connection to broker lost. Trying to re-establish the connection...",
    ]);
    await bench.says(/Trying again in 1\.50 seconds\.\.\. \(1\/100\)/);
  });

  test("ends the worker where the setting wants no return, or too many attempts failed", async () => {
    const once = shaky([]);
    await using bench = setup({ wrapBroker: once.wrapBroker, brokerConnectionRetry: false });
    const first = bench.work();
    await bench.says(/ready\.$/);
    once.emit({ is: "down", link: "consume", error: lost, retryIn: undefined });
    await expect(first.done).rejects.toBe(lost);

    const twice = shaky([]);
    await using other = setup({ wrapBroker: twice.wrapBroker, brokerConnectionMaxRetries: 1 });
    const second = other.work();
    await other.says(/ready\.$/);
    for (const error of [lost, refused, refused]) {
      twice.emit({ is: "down", link: "consume", error, retryIn: 1 });
    }
    await expect(second.done).rejects.toBe(refused);
  });

  test("is another thing than a queue that is lost", async () => {
    const { wrapBroker, emit } = shaky([]);
    await using bench = setup({ wrapBroker });
    bench.work();
    await bench.says(/ready\.$/);
    const error = new ConnectionError("consumer-cancelled", 'The broker cancelled the consumer of "q".');
    emit({ is: "down", link: "consume", error, retryIn: 250 });
    expect((await bench.says(/Cannot consume/)).message).toBe(
      'consumer: Cannot consume: The broker cancelled the consumer of "q".\nTrying again in 0.25 seconds...\n',
    );
  });

  test("a channel that the broker closes ends the worker where the setting says so; a cancelled consumer never does", async () => {
    const { wrapBroker, emit } = shaky([]);
    await using bench = setup({ wrapBroker, brokerChannelErrorRetry: false });
    const { done, worker } = bench.work();
    await bench.says(/ready\.$/);
    const cancelled = new ConnectionError("consumer-cancelled", 'The broker cancelled the consumer of "q".');
    emit({ is: "down", link: "consume", error: cancelled, retryIn: 250 });
    await bench.says(/Cannot consume/);
    expect(worker.health().state).not.toBe("stopping");
    const closed = new ConnectionError("consumer-timeout", "A message was held for too long.");
    emit({ is: "down", link: "consume", error: closed, retryIn: 250 });
    await expect(done).rejects.toBe(closed);
  });

  test("is no longer watched after the end", async () => {
    const { wrapBroker, listeners } = shaky([]);
    await using bench = setup({ wrapBroker });
    const { worker, done } = bench.work();
    await bench.says(/ready\.$/);
    expect(listeners.size).toBe(1);
    await worker.stop();
    await done;
    expect(listeners.size).toBe(0);
  });
});
