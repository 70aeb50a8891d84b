/**
 * Contract: a server that is restarted, or that takes no messages for a while.
 *
 * @module
 */
import type { Delivery, QueueEntity } from "../../../broker.ts";
import { show } from "../../difference.ts";
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";
import type { BrokerSubject, ServerFaults } from "../subject.ts";

/** A subject whose server is the test's own. */
export type OwnServer = BrokerSubject & { readonly server: ServerFaults };

export function serverTests(suite: Suite<OwnServer>): void {
  const { subject: { features, server, routing = "amqp" }, check, test } = suite;

  test("durable queues and the persistent messages confirmed in them outlive a restart, held ones too", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["held", "waiting"], 1);
    const held = await reader.next();
    await server.restart();
    // A lease outlives the server as its message does: what was held is held still, and does not come again.
    const [word, rest] = features.loss === "link"
      ? ["stale", ["held", "waiting"]] as const
      : ["settled", ["waiting"]] as const;
    check.equal(await held.settle({ as: "ack" }), word, "the word of an ack for what was held before");
    const came: Delivery[] = [];
    for (const _ of rest) {
      const [next] = await reader.take(1);
      if (next !== undefined) came.push(next);
      await next?.settle({ as: "ack" });
    }
    check.equal(textsOf(came), rest, "what came after it");
    await bench.counts(broker, queue, 0);
  });

  if (routing === "amqp" && features.mustRoute) {
    test("a transient queue is gone after a restart, and so is a transient message in a durable one", async (bench) => {
      const broker = await bench.broker();
      const other = await bench.broker();
      const durable = bench.queueEntity();
      const transient: QueueEntity = { ...bench.queueEntity(), durable: false };
      await broker.declare([durable, transient]);
      await broker.publish([
        bench.outgoing(transient.name, "gone"),
        bench.outgoing(durable.name, "gone", { delivery_mode: 1 }),
        bench.outgoing(durable.name, "kept"),
      ]);
      await broker.close();
      await server.restart();
      await bench.until(() => other.connect().then(() => true), { what: "a connection" });
      check.equal(await bench.exists(other, transient.name), false, "whether the transient queue exists");
      const { reader } = bench.consume(other, [durable.name]);
      const delivery = await reader.next();
      check.equal(textOf(delivery.message), "kept", "the first message of the durable queue");
      await bench.ack(delivery);
      await bench.counts(other, durable.name, 0);
    });
  }

  test("publishers, consumers and subscriptions go on after a restart", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["before"]);
    const sender = await bench.broker();
    await bench.ack(await reader.next());
    const inbox = bench.name("reply");
    const subscription = features.subscribe ? broker.subscribe({ queue: inbox }) : undefined;
    await subscription?.ready;
    await server.restart();
    await bench.publishAtLast(sender, queue, "after");
    await bench.ack(await reader.next());
    if (subscription === undefined) return;
    let heard = "";
    void bench.reader(subscription).next().then((message) => heard = textOf(message));
    await bench.until(async () => {
      await sender.publish([{ ...bench.outgoing(inbox, "hello"), mustRoute: false }]);
      return heard;
    }, { what: "a message to the subscription", every: 50 });
  });

  if (server.alarm !== undefined) {
    alarmTests({
      ...suite,
      alarm: (on) => server.alarm?.(on) ?? Promise.resolve(),
    });
  }
}

function alarmTests(
  { subject: { features }, check, test, alarm }: Suite<OwnServer> & {
    readonly alarm: (on: boolean) => Promise<void>;
  },
): void {
  if (features.park !== "none") {
    test("under an alarm a park fails within seconds, the delivery can still be settled, and a copy that comes late takes its place", async (bench) => {
      const { broker, queue, reader } = await bench.filled(["first", "second", "third"]);
      const [first, second, third] = await reader.take(3);
      // What a broker makes for its first park takes a while.
      await first?.settle({ as: "park", until: bench.now + 50 });
      await bench.ack(await reader.next());
      const events = bench.events(broker);
      let lost = 0;
      second?.onLost(() => lost++);
      await alarm(true);
      try {
        const started = bench.elapsed;
        await check.coded(
          () => second?.settle({ as: "park", until: bench.now + 100 }),
          "the park that met it",
        );
        check.between(bench.elapsed - started, 0, 5000 + bench.patience, "ms until it failed");
        await bench.until(() => events.some((event) => event.is === "blocked"), {
          what: "news of it",
          seen: () => show(events),
        });
        const again = bench.elapsed;
        await check.coded(() => third?.settle({ as: "park", until: bench.now + 100 }), "a park after that");
        check.between(bench.elapsed - again, 0, 3000, "ms until it failed");
        await bench.ack(third);
        check.equal(lost, 0, "losses");
      } finally {
        await alarm(false);
      }
      const back = await reader.next();
      check.equal(
        [textOf(back.message), lost],
        ["second", 1],
        "the copy, and how often its original was lost",
      );
      check.equal(await second?.settle({ as: "requeue" }), "stale", "the word on the original");
      await bench.ack(back);
      await reader.quiet("once it was acked");
      check.equal(await broker.count(queue), 0, "messages left");
    });
  }

  test("under an alarm publishes settle by their deadline, an observer is told, and consuming goes on", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1", "2", "3"], 1);
    const first = await reader.next();
    const events = bench.events(broker);
    const seen = (): string => show(events);
    await alarm(true);
    try {
      const started = bench.elapsed;
      const [verdict] = await broker.publish([bench.outgoing(queue, "late")], { deadline: bench.now + 700 });
      check.ok(
        verdict?.is !== "confirmed" && verdict?.is !== "unroutable",
        `a verdict of doubt, got ${show(verdict)}`,
      );
      check.between(bench.elapsed - started, 0, 700 + 3000, "ms until the verdict");
      const blocked = await bench.until(() => events.find((event) => event.is === "blocked"), {
        what: "news of it",
        seen,
      });
      check.ok("reason" in blocked && blocked.reason !== "", `expected a reason, got ${show(blocked)}`);
      await bench.ack(first);
      const rest = await reader.take(1);
      await bench.ack(...rest);
      await bench.ack(...await reader.take(1));
    } finally {
      await alarm(false);
    }
    await bench.until(() => events.some((event) => event.is === "unblocked"), {
      what: "news of its end",
      seen,
    });
    await bench.publishAtLast(broker, queue, "after");
  });
}
