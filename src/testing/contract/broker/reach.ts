/**
 * Contract: a server that cannot be reached.
 *
 * @module
 */
import type { Broker } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import type { BrokerSubject } from "../subject.ts";

/** Longest wait of a call, ms. */
const SHORT = 300;

/** A subject that can also make a broker without a server. */
export type LonelySubject = BrokerSubject & { readonly unreachable: () => Broker };

export function reachTests({ subject, check, test }: Suite<LonelySubject>): void {
  test("connecting and declaring reject with a code, by their deadline", async (bench) => {
    const broker = subject.unreachable();
    const started = bench.elapsed;
    await check.coded(() => broker.connect({ deadline: bench.now + SHORT }), "connecting");
    const queue = { kind: "queue", name: "q", durable: true, exclusive: false, autoDelete: false } as const;
    const exchange = {
      kind: "exchange",
      name: "e",
      type: "topic",
      durable: true,
      autoDelete: false,
    } as const;
    const binding = { kind: "binding", queue: "q", exchange: "e", routingKey: "k" } as const;
    const entities = [exchange, queue, binding];
    await check.coded(() => broker.declare(entities, { deadline: bench.now + SHORT }), "declaring");
    check.between(bench.elapsed - started, 0, bench.patience, "ms for both");
    await broker.close();
  });

  test("a publish is refused as not sent, and a repeat may help; or, where that cannot be told, unknown", async (bench) => {
    const broker = subject.unreachable();
    const [verdict] = await broker.publish([bench.outgoing("q", "1")], { deadline: bench.now + SHORT });
    if (verdict?.is === "refused") check.equal(verdict.retry, true, "whether a repeat may help");
    else check.equal(verdict?.is, "unknown", "the verdict, where it is not refused");
    await broker.close();
  });

  if (subject.consume !== undefined) return;

  test("a consumer waits, an observer learns of each attempt, and stop ends it", async (bench) => {
    const broker = subject.unreachable();
    const events = bench.events(broker);
    const { consumer, reader } = bench.consume(broker, ["q"]);
    const waiting = reader.ask();
    const downs = (): typeof events =>
      events.filter((event) => event.is === "down" && event.link === "consume");
    await bench.until(() => downs().length >= 2, {
      what: "news of two attempts",
      seen: () => `${events.length} events`,
    });
    for (const event of downs()) {
      const told = event.is === "down" ? [event.error instanceof Error, typeof event.retryIn] : [];
      check.equal(told, [true, "number"], "whether it says why, and the ms until the next attempt");
    }
    check.equal(consumer.aliveAt, 0, "aliveAt of a consumer that never consumed");
    await consumer.stop();
    check.equal((await waiting).done, true, "whether the iteration is at its end");
    await broker.close();
  });

  if (!subject.features.subscribe) return;

  test("a subscription is not ready, and closing it rejects that", async (bench) => {
    const broker = subject.unreachable();
    const subscription = broker.subscribe({ queue: "q" });
    const ready = check.coded(() => subscription.ready, "the ready of a subscription that is closed before");
    await subscription.close();
    await ready;
    await bench.reader(subscription).ended();
    await broker.close();
  });
}
