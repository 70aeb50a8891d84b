/**
 * Contract: deliveries whose link is lost, where that loses them.
 *
 * @module
 */
import type { Delivery } from "../../../broker.ts";
import type { Suite } from "../bench.ts";
import { textOf, textsOf } from "../letter.ts";
import type { FaultySubject } from "./loss.ts";

/** Resolves when the delivery is told of its loss. */
function lost(delivery: Delivery | undefined): Promise<void> {
  return new Promise<void>((resolve) => delivery?.onLost(resolve));
}

export function lostDeliveryTests({ subject: { features, link }, check, test }: Suite<FaultySubject>): void {
  if (features.loss !== "link") return;

  test("a delivery of a lost link is told, settles stale, and comes again", async (bench) => {
    const { reader } = await bench.filled(["again"]);
    const first = await reader.next();
    let told = 0;
    first.onLost(() => told++);
    await link.cut();
    await bench.until(() => told > 0, { what: "news of the loss" });
    check.equal(await first.settle({ as: "ack" }), "stale", "the word of an ack on a lost link");
    const second = await reader.next();
    check.equal([textOf(second.message), second.redelivered], ["again", true], "message and redelivered");
    await bench.ack(second);
    check.equal(told, 1, "times that the loss was told");
  });

  test("settling twice throws on a lost link as well", async (bench) => {
    const { reader } = await bench.filled(["again"]);
    const first = await reader.next();
    const loss = lost(first);
    await link.cut();
    await loss;
    await first.settle({ as: "ack" });
    await check.coded(() => first.settle({ as: "ack" }), "a second settlement");
    await bench.ack(await reader.next());
  });

  test("who asks for news of a loss afterwards is told at once", async (bench) => {
    const { reader } = await bench.filled(["1"]);
    const delivery = await reader.next();
    const loss = lost(delivery);
    await link.cut();
    await loss;
    let told = 0;
    delivery.onLost(() => told++);
    await bench.until(() => told === 1, { what: "news of the loss, once", seen: () => `${told} times` });
    await bench.ack(await reader.next());
  });

  test("neither a settled delivery nor a disposed listener is told of a loss", async (bench) => {
    const { reader } = await bench.filled(["settled", "disposed", "held"]);
    const [settled, disposed, held] = await reader.take(3);
    const told: string[] = [];
    settled?.onLost(() => told.push("settled"));
    await bench.ack(settled);
    disposed?.onLost(() => told.push("disposed"))[Symbol.dispose]();
    const loss = lost(held);
    await link.cut();
    await loss;
    check.equal(told, [], "who was told beside the one that is held");
  });

  test("deliveries that nobody read do not survive their link, they come again", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1", "2", "3"], 3);
    const first = await reader.next();
    await bench.counts(broker, queue, 0);
    const loss = lost(first);
    await link.cut();
    await loss;
    const again = await reader.take(3);
    check.equal(textsOf(again), ["1", "2", "3"], "what came again");
    await bench.ack(...again);
    await bench.counts(broker, queue, 0);
  });

  test("a stale settlement settles nothing: neither its own message nor the one that has its place now", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["1", "2"], 1);
    const other = await bench.broker();
    const old = await reader.next();
    const loss = lost(old);
    await link.cut();
    await loss;
    // The first delivery of the new link, as the old one was of the old link.
    const now = await reader.next();
    for (const as of ["ack"] as const) {
      check.equal(await old.settle({ as }), "stale", "the word of the old one");
    }
    await broker.close();
    await bench.counts(other, queue, 2);
    check.equal(await now.settle({ as: "ack" }), "stale", "the word of the new one after the close");
  });

  for (const as of ["ack", "reject", "requeue"] as const) {
    test(`${as} of a lost delivery is stale, and its message comes to another consumer`, async (bench) => {
      const { broker, queue, consumer, reader } = await bench.filled(["again"]);
      const other = await bench.broker();
      const delivery = await reader.next();
      const loss = lost(delivery);
      await consumer.stop();
      await link.cut();
      await loss;
      check.equal(await delivery.settle({ as }), "stale", `the word of ${as}`);
      const { reader: again } = bench.consume(other, [queue]);
      const second = await again.next();
      check.equal([textOf(second.message), second.redelivered], ["again", true], "message and redelivered");
      await bench.ack(second);
      await broker.close();
    });
  }

  if (features.park === "none") return;

  test("a park whose link goes before it is done may double the message, and does not lose it", async (bench) => {
    const { broker, queue, reader } = await bench.filled(["parked"]);
    const delivery = await reader.next();
    await link.freeze();
    const parking = delivery.settle({ as: "park", until: bench.now + 50 }).catch((error: unknown) => error);
    await link.cut();
    await link.thaw();
    const word = await parking;
    check.ok(word === "stale" || word instanceof Error, `expected stale or an error, got ${String(word)}`);
    const first = await reader.next();
    check.equal(textOf(first.message), "parked", "what came again");
    await bench.ack(first);
    await broker.purge(queue);
  });
}
