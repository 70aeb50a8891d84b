/**
 * Contract: what happens to publishes, deliveries, consumers and subscriptions when the network goes.
 *
 * @module
 */
import type { Broker, Call, Entity, QueueEntity, Verdict } from "../../../broker.ts";
import type { Bench, Suite } from "../bench.ts";
import { show } from "../../difference.ts";
import { textOf } from "../letter.ts";
import type { BrokerSubject, LinkFaults } from "../subject.ts";

/** A subject whose network can be disturbed. */
export type FaultySubject = BrokerSubject & { readonly link: LinkFaults };

/** The kinds of verdicts. */
const kinds = (verdicts: readonly Verdict[]): string[] => verdicts.map(({ is }) => is);

/** A broker that has published, and its queue. */
async function used(bench: Bench): Promise<{ broker: Broker; queue: string }> {
  const broker = await bench.broker();
  const queue = await bench.queue(broker);
  await bench.publish(broker, queue, ["before"]);
  return { broker, queue };
}

/** What a broker must ask its server to declare, whatever it is. */
function declared(bench: Bench, queue: QueueEntity): readonly Entity[] {
  const exchange = bench.exchangeEntity("direct");
  return [exchange, queue, {
    kind: "binding",
    queue: queue.name,
    exchange: exchange.name,
    routingKey: "key",
  }];
}

/** Waits until a publish under way has left, on a link that is frozen: a later one is unknown only where it left, and the order holds. */
async function left(bench: Bench, broker: Broker, queue: string): Promise<void> {
  await bench.until(async () => {
    const verdicts = await broker.publish([bench.outgoing(queue, "probe")], { deadline: bench.now + 20 });
    return verdicts[0]?.is === "unknown";
  }, { what: "a publish that left" });
}

export function lossTests(suite: Suite<FaultySubject>): void {
  const { subject: { features, link, routing = "amqp" }, check, test } = suite;

  test("a broker publishes again after a cut", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.cut();
    await bench.publishAtLast(broker, queue, "after");
    const count = await broker.count(queue);
    check.ok(count >= 2, `expected the messages of before and after the cut, got ${count}`);
  });

  // A call that opens a link of its own, and waits for the server's word on it, gets nowhere on a frozen network: nothing left, so nothing is
  // unknown. What may be sent again needs no such word: it leaves at once.
  if (features.link === "shared" || features.resends) doubtTests(suite);
  else {
    test("a publish on a network that is frozen is refused as not sent, by its deadline or its abort", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      await link.freeze();
      const started = bench.elapsed;
      const [late] = await broker.publish([bench.outgoing(queue, "1")], { deadline: bench.now + 150 });
      check.has(late, { is: "refused", retry: true }, "the verdict at the deadline");
      check.between(bench.elapsed - started, 0, 3000, "ms until a verdict with a deadline of 150");
      const stopper = new AbortController();
      const pending = broker.publish([bench.outgoing(queue, "2")], { signal: stopper.signal });
      stopper.abort();
      check.has((await pending)[0], { is: "refused", retry: true }, "the verdict at the abort");
      await link.thaw();
      check.equal(await broker.count(queue), 0, "messages that were sent");
    });
  }

  test("a late answer of an abandoned publish does not settle the next one", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    await broker.publish([bench.outgoing(queue, "abandoned")], { deadline: bench.now + 100 });
    // With kombu a message to the default exchange makes its queue.
    const to = routing === "amqp"
      ? bench.name("queue")
      : { exchange: bench.name("exchange"), routingKey: "key" };
    const next = broker.publish([bench.outgoing(to, "lost")]);
    await link.thaw();
    check.equal(kinds(await next), [features.mustRoute ? "unroutable" : "confirmed"], "the next verdict");
  });

  for (const what of ["connect", "declare"] as const) {
    test(`${what} on a frozen network rejects by its deadline with a code, by its abort with the reason`, async (bench) => {
      const { broker } = await used(bench);
      const queue = bench.queueEntity();
      await link.freeze();
      const fresh = features.link === "shared" ? await bench.broker() : broker;
      const call = (options: Call): unknown =>
        what === "connect" ? fresh.connect(options) : broker.declare(declared(bench, queue), options);
      const started = bench.elapsed;
      await check.coded(() => call({ deadline: bench.now + 150 }), "at the deadline");
      check.between(bench.elapsed - started, 100, 3000, "ms until a deadline of 150");
      const reason = new Error("no longer wanted");
      const stopper = new AbortController();
      const aborted = check.rejects(() => call({ signal: stopper.signal }), "at the abort");
      stopper.abort(reason);
      check.same(await aborted, reason, "its error");
      await link.thaw();
    });
  }

  test("a publish that declares settles by its deadline on a frozen network: with a code, or with a verdict that is no promise", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const started = bench.elapsed;
    const declare = declared(bench, bench.queueEntity());
    const call = { declare, deadline: bench.now + 150 };
    const fate = broker.publish([bench.outgoing(queue, "no")], call).then(kinds, (error: unknown) => error);
    const word = await fate;
    check.between(bench.elapsed - started, 100, 3000, "ms until a deadline of 150");
    if (!Array.isArray(word)) await check.coded(() => Promise.reject(word), "its error");
    // Where one request declares and publishes, nobody knows.
    else {check.ok(
        word[0] === "unknown" || word[0] === "refused",
        `expected a verdict of doubt, got ${show(word)}`,
      );}
    await link.cut();
    await link.thaw();
  });

  test("close returns though nothing answers, by its deadline", async (bench) => {
    const { broker, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.freeze();
    const started = bench.elapsed;
    await broker.close({ deadline: bench.now + 200 });
    check.between(bench.elapsed - started, 0, 3000, "ms that a close with a deadline of 200 took");
    await link.thaw();
  });

  test("close lets go at once when its signal is aborted, though nothing answers", async (bench) => {
    const { broker, reader } = await bench.filled(["1"]);
    await reader.next();
    await link.freeze();
    const stopper = new AbortController();
    const started = bench.elapsed;
    const closing = broker.close({ signal: stopper.signal });
    stopper.abort(new Error("no longer wanted"));
    await closing;
    check.between(bench.elapsed - started, 0, 3000, "ms that a close took until its abort");
    await link.thaw();
  });
}

function doubtTests({ subject: { features, link }, check, test }: Suite<FaultySubject>): void {
  const fate = features.resends ? "is sent again and stands there once" : "is unknown";
  test(`a publish that got no answer before the cut ${fate}`, async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const pending = broker.publish([bench.outgoing(queue, "1"), bench.outgoing(queue, "2")]);
    await left(bench, broker, queue);
    await link.cut();
    await link.thaw();
    const kind = features.resends ? "confirmed" : "unknown";
    check.equal(kinds(await pending), [kind, kind], "the verdicts");
    if (!features.resends) return;
    await bench.publish(broker, queue, ["last"]);
    const { reader } = bench.consume(broker, [queue], 0);
    const got: string[] = [];
    while (got.at(-1) !== "last") got.push(textOf((await reader.next()).message));
    check.equal(got.filter((text) => text === "1" || text === "2"), ["1", "2"], "what is there of the two");
  });

  test("a publish settles by its deadline as unknown when nothing answers", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const started = bench.elapsed;
    const verdicts = await broker.publish([bench.outgoing(queue, "1")], { deadline: bench.now + 150 });
    check.equal(kinds(verdicts), ["unknown"], "the verdict");
    check.between(bench.elapsed - started, 100, 3000, "ms until a verdict with a deadline of 150");
  });

  test("a publish settles as unknown when its signal is aborted while nothing answers", async (bench) => {
    const { broker, queue } = await used(bench);
    await link.freeze();
    const stopper = new AbortController();
    const pending = broker.publish([bench.outgoing(queue, "1")], { signal: stopper.signal });
    await left(bench, broker, queue);
    stopper.abort();
    check.equal(kinds(await pending), ["unknown"], "the verdict");
  });
}
