/**
 * Contract: what becomes of a published message, and that it arrives as it was sent.
 *
 * @module
 */
import type { Destination, Entity, Verdict } from "../../../broker.ts";
import type { Bench, Suite } from "../bench.ts";
import { letter, textOf } from "../letter.ts";

/** Beyond it the limit is not tried, so that a test does not move hundreds of megabytes. */
const LARGEST_TRIED = 256 * 1024 * 1024;

const CONFIRMED: Verdict = { is: "confirmed" };

/** The kinds of verdicts. */
const kinds = (verdicts: readonly Verdict[]): string[] => verdicts.map(({ is }) => is);

export function publishTests(suite: Suite): void {
  const { subject: { features, routing = "amqp" }, check, test } = suite;
  const { mustRoute } = features;

  test("a published message is confirmed and waits in its queue", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    check.equal(await broker.publish([bench.outgoing(queue, "one")]), [CONFIRMED], "the verdict");
    check.equal(await broker.count(queue), 1, "messages in the queue");
  });

  test("an empty batch has no verdicts", async (bench) => {
    const broker = await bench.broker();
    check.equal(await broker.publish([]), [], "verdicts of nothing");
  });

  /** Where no queue takes a message, and that is no error. With kombu a message to the default exchange makes its queue. */
  function unbound(bench: Bench): Destination {
    return routing === "amqp"
      ? { exchange: "", routingKey: bench.name("queue") }
      : { exchange: bench.name("exchange"), routingKey: "key" };
  }

  /** A queue behind an exchange, to be declared. */
  function behind(bench: Bench): { declare: readonly Entity[]; to: Destination; queue: string } {
    const queue = bench.queueEntity();
    const exchange = bench.name("exchange");
    const declare: Entity[] = [
      { kind: "exchange", name: exchange, type: "direct", durable: false, autoDelete: true },
      queue,
      { kind: "binding", queue: queue.name, exchange, routingKey: "key" },
    ];
    return { declare, to: { exchange, routingKey: "key" }, queue: queue.name };
  }

  test("what an empty batch declares stands", async (bench) => {
    const broker = await bench.broker();
    const { declare, to, queue } = behind(bench);
    check.equal(await broker.publish([], { declare }), [], "verdicts of nothing");
    await bench.publish(broker, to, ["through"]);
    check.equal(await broker.count(queue), 1, "messages behind what was declared");
  });

  test("what a publish declares stands before its messages, the second time too", async (bench) => {
    const broker = await bench.broker();
    const { declare, to, queue } = behind(bench);
    for (const text of ["one", "two"]) {
      const outgoing = { ...bench.outgoing(to, text), mustRoute: true };
      check.equal(await broker.publish([outgoing], { declare }), [CONFIRMED], `the verdict of ${text}`);
    }
    check.equal(await broker.count(queue), 2, "messages behind what was declared");
  });

  test("a declaration that the broker refuses rejects the batch, and nothing is sent", async (bench) => {
    const broker = await bench.broker();
    const queue = bench.queueEntity();
    const type = features.exchanges.includes("topic") ? "topic" : "fanout";
    const exchange = {
      kind: "exchange",
      name: bench.name("exchange"),
      durable: false,
      autoDelete: false,
    } as const;
    await broker.declare([queue, { ...exchange, type: "direct" }]);
    const declare: Entity[] = [{ ...exchange, type }];
    const action = (): unknown => broker.publish([bench.outgoing(queue.name, "no")], { declare });
    await check.coded(action, "a publish that declares an exchange as another type", "topology-mismatch");
    check.equal(await broker.count(queue.name), 0, "messages sent for all that");
  });

  test("verdicts stand in the order of the batch", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const lost = mustRoute ? "unroutable" : "confirmed";
    const nowhere = unbound(bench);
    const verdicts = await broker.publish([
      bench.outgoing(queue, "1"),
      bench.outgoing(nowhere, "2"),
      bench.outgoing(queue, "3"),
      bench.outgoing(nowhere, "4"),
    ]);
    check.equal(kinds(verdicts), ["confirmed", lost, "confirmed", lost], "the verdicts");
    check.equal(await broker.count(queue), 2, "messages in the queue that there is");
  });

  test("a message that need not be routed is confirmed though no queue takes it", async (bench) => {
    const broker = await bench.broker();
    const outgoing = { ...bench.outgoing(unbound(bench), "lost"), mustRoute: false };
    check.equal(await broker.publish([outgoing]), [CONFIRMED], "the verdict");
  });

  test("an exchange that does not exist gives no confirmation, and the broker goes on", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const nowhere: Destination = { exchange: bench.name("exchange"), routingKey: "key" };
    const [verdict] = await broker.publish([{ ...bench.outgoing(nowhere, "lost"), mustRoute: true }]);
    if (verdict?.is === "refused") check.equal(verdict.retry, false, "whether a repeat may help");
    else check.equal(verdict, { is: "unroutable" }, "the verdict, where it is not refused");
    await bench.publish(broker, queue, ["next"]);
    check.equal(await broker.count(queue), 1, "messages published after it");
  });

  test("an exchange that does not exist hurts no neighbour in the batch", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const nowhere: Destination = { exchange: bench.name("exchange"), routingKey: "key" };
    const verdicts = await broker.publish([
      bench.outgoing(queue, "before"),
      { ...bench.outgoing(nowhere, "lost"), mustRoute: true },
      bench.outgoing(queue, "after"),
    ]);
    check.equal(
      [verdicts[0]?.is, verdicts[2]?.is],
      ["confirmed", "confirmed"],
      "the verdicts of the neighbours",
    );
    check.equal(await broker.count(queue), 2, "messages in the queue");
  });

  if (mustRoute && routing === "amqp") {
    test("what was unroutable is nowhere, though its queue is made afterwards", async (bench) => {
      const broker = await bench.broker();
      const queue = bench.queueEntity();
      const verdicts = await broker.publish([bench.outgoing(queue.name, "lost")]);
      check.equal(verdicts, [{ is: "unroutable" }], "the verdict");
      await broker.declare([queue]);
      check.equal(await broker.count(queue.name), 0, "messages in the queue that was made");
    });
  }

  if (routing === "amqp") {
    test("a full queue that takes no more refuses, and a repeat may help", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker, { "x-max-length": 1, "x-overflow": "reject-publish" });
      await bench.publish(broker, queue, ["fits"]);
      const [verdict] = await broker.publish([bench.outgoing(queue, "too much")]);
      check.has(verdict, { is: "refused", retry: true }, "the verdict");
      check.equal(await broker.purge(queue), 1, "messages that were in it");
      await bench.publish(broker, queue, ["fits again"]);
    });
  }

  if (features.maxMessage <= LARGEST_TRIED) {
    test("a body over the limit is refused for good, and its neighbours are not hurt", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      const large = { ...letter(""), body: new Uint8Array(features.maxMessage + 1) };
      const verdicts = await broker.publish([
        bench.outgoing(queue, "before"),
        { message: large, to: { exchange: "", routingKey: queue }, mustRoute },
        bench.outgoing(queue, "after"),
      ]);
      check.equal(kinds(verdicts), ["confirmed", "refused", "confirmed"], "the verdicts");
      check.has(verdicts[1], { retry: false }, "whether a repeat may help");
      check.equal(await broker.count(queue), 2, "messages in the queue");
    });
  }

  test("nothing is sent when the signal is aborted already", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const verdicts = await broker.publish([bench.outgoing(queue, "no")], { signal: AbortSignal.abort() });
    check.equal(kinds(verdicts), ["refused"], "the verdict");
    await bench.publish(broker, queue, ["yes"]);
    check.equal(await broker.count(queue), 1, "messages in the queue, the next one included");
  });

  test("nothing is sent when the deadline is over already", async (bench) => {
    const broker = await bench.broker();
    const queue = await bench.queue(broker);
    const verdicts = await broker.publish([bench.outgoing(queue, "no")], { deadline: bench.now - 1 });
    check.equal(kinds(verdicts), ["refused"], "the verdict");
    await bench.publish(broker, queue, ["yes"]);
    check.equal(await broker.count(queue), 1, "messages in the queue, the next one included");
  });

  test("what is declared with a publish that is given up already rejects the call, and nothing is sent", async (bench) => {
    const broker = await bench.broker();
    const { declare, to, queue } = behind(bench);
    await broker.declare(declare);
    const other = await bench.broker();
    const batch = [bench.outgoing(to, "no")];
    const reason = new Error("no longer wanted");
    const error = await check.rejects(
      () => other.publish(batch, { declare, signal: AbortSignal.abort(reason) }),
      "an aborted publish that declares",
    );
    check.same(error, reason, "its error");
    check.equal(await broker.count(queue), 0, "messages in the queue");
  });

  if (!features.delay) {
    test("a message that is to wait is refused for good, as there is no delay", async (bench) => {
      const broker = await bench.broker();
      const queue = await bench.queue(broker);
      const [verdict] = await broker.publish([{
        ...bench.outgoing(queue, "later"),
        notBefore: bench.now + 1000,
      }]);
      check.has(verdict, { is: "refused", retry: false }, "the verdict");
      check.equal(await broker.count(queue), 0, "messages in the queue");
    });
    return;
  }

  test("messages that are to wait are confirmed at once, and come at their instants, not before", async (bench) => {
    const { broker, queue, reader } = await bench.filled([]);
    const start = bench.now;
    const verdicts = await broker.publish([300, 150].map((ms) => (
      { ...bench.outgoing(queue, String(ms)), notBefore: start + ms }
    )));
    check.equal(verdicts, [CONFIRMED, CONFIRMED], "the verdicts");
    check.between(bench.now, start, start + 140, "the instant of the verdicts");
    for (const ms of [150, 300]) {
      const delivery = await reader.next();
      check.equal(textOf(delivery.message), String(ms), "the message that comes next");
      check.between(bench.now, start + ms - 1, start + ms + bench.patience, "the instant at which it came");
      await bench.ack(delivery);
    }
  });
}
