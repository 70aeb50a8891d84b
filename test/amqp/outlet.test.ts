/**
 * Whose confirm, whose return: the channel's bookkeeping against a broker that answers in any order that RabbitMQ may choose.
 *
 * @module
 */
import type { AMQPChannel, AMQPMessage } from "@cloudamqp/amqp-client";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Batch } from "../../adapters/amqp/batch.ts";
import type { Epoch } from "../../adapters/amqp/epoch.ts";
import { Outbox } from "../../adapters/amqp/outbox.ts";
import { encoded, Outlet } from "../../adapters/amqp/outlet.ts";
import type { Outgoing, Verdict } from "../../src/broker.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import { task } from "./rig.ts";

interface Stage {
  readonly outlet: Outlet;
  readonly channel: Pick<AMQPChannel, "publishConfirmed">;
  publish(outgoing: Outgoing): Promise<Verdict>;
  /** What the parser would hand over for basic.return of it. */
  bringBack(outgoing: Outgoing, headers?: Record<string, unknown>): void;
}

async function stage(): Promise<Stage> {
  const out = new Outbox(() => {}, () => {});
  const channel = { id: 1, closed: false, confirmSelect: () => Promise.resolve() } as unknown as AMQPChannel;
  const epoch = {
    lost: undefined,
    async channel(_closed: unknown, ask: (channel: AMQPChannel) => Promise<unknown>) {
      await ask(channel);
      return channel;
    },
  } as unknown as Epoch;
  const moved = deferred<void>();
  const outlet = new Outlet({
    epoch,
    out,
    frameMax: 131_072,
    propertiesOf: (message) => message.properties as unknown as Uint8Array,
    moved: moved.resolve,
    unroutable: () => {},
  });
  const send = (outgoing: Outgoing): Promise<readonly Verdict[]> => {
    const batch = new Batch([outgoing], {}, {
      platform: systemPlatform,
      publishTimeout: 60_000,
      maxMessage: 1e6,
    });
    for (const publication of batch.publications) outlet.waiting.push(publication);
    outlet.send(1000);
    return batch.verdicts;
  };
  // The first one opens the channel; its verdict is nobody's concern.
  void send(task("first"));
  await moved.promise;
  outlet.send(1000);
  channel.publishConfirmed(1, false, false);
  return {
    outlet,
    channel: {
      // Numbers begin with 1 for each test.
      publishConfirmed: (tag: number, multiple: boolean, nack: boolean) =>
        channel.publishConfirmed(tag === 0 ? 0 : tag + 1, multiple, nack),
    },
    async publish(outgoing) {
      const [verdict] = await send(outgoing);
      if (verdict === undefined) throw new Error("no verdict");
      return verdict;
    },
    bringBack({ message, to }, headers = { ...message.headers }) {
      channel.onReturn({
        exchange: to.exchange,
        routingKey: to.routingKey,
        properties: encoded({ ...message, headers }),
        body: message.body,
      } as unknown as AMQPMessage);
    },
  };
}

/** Three messages to one key, of which two differ only in their body or headers: the hard case for telling returns apart. */
const LETTERS: readonly Outgoing[] = [
  task("q", "same", { correlation_id: "1" }),
  task("q", "other", { correlation_id: "1" }),
  task("q", "same", { correlation_id: "2" }),
];

describe("an outlet", () => {
  test("gives each group of equal messages exactly the verdicts that the broker meant", async () => {
    const shapes = new Map<string, number>();
    const sent = fc.array(
      fc.record({ letter: fc.nat(2), fate: fc.constantFrom("confirmed", "unroutable", "refused") }),
      { minLength: 1, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(sent, fc.infiniteStream(fc.nat(1000)), async (publishes, choices) => {
        const { channel, publish, bringBack } = await stage();
        const verdicts = publishes.map(({ letter }) => publish(LETTERS[letter] as Outgoing));
        // The broker works through the channel in order: returns come in order, each before its own ack; acks and nacks come later
        // in any order, and several in one frame where that covers equal verdicts only.
        let returned = 0;
        const open = new Set(publishes.map((_, at) => at + 1));
        const choose = (below: number): number => (choices.next().value ?? 0) % below;
        const workOn = (): void => {
          const { letter, fate } = publishes[returned++] as (typeof publishes)[number];
          if (fate === "unroutable") bringBack(LETTERS[letter] as Outgoing);
        };
        while (open.size > 0) {
          const ready = [...open].filter((tag) => tag <= returned);
          const tag = ready[choose(Math.max(1, ready.length))];
          if (tag === undefined || (returned < publishes.length && choose(3) === 0)) {
            workOn();
            continue;
          }
          const isNack = (at: number): boolean => publishes[at - 1]?.fate === "refused";
          const upTo = ready.filter((other) => other <= tag);
          const multiple = upTo.every((other) => isNack(other) === isNack(tag)) && choose(2) === 0;
          for (const done of multiple ? upTo : [tag]) open.delete(done);
          channel.publishConfirmed(tag, multiple, isNack(tag));
          const shape = `${multiple && upTo.length > 1 ? "many" : "one"} ${isNack(tag) ? "nacked" : "acked"}`;
          shapes.set(shape, (shapes.get(shape) ?? 0) + 1);
        }
        const given = await Promise.all(verdicts);
        for (const letter of [0, 1, 2]) {
          const of = (kind: (at: number) => string): string[] =>
            publishes.flatMap((publish, at) => (publish.letter === letter ? [kind(at)] : [])).sort();
          expect(of((at) => given[at]?.is ?? "")).toEqual(of((at) => publishes[at]?.fate ?? ""));
        }
      }),
      { numRuns: 1000 },
    );
    console.log(`answers: ${[...shapes].map(([shape, count]) => `${shape} ${count}`).join(", ")}`);
    expect(shapes.size).toBe(4);
  });

  test("lays a return whose headers the broker changed to a message of that key", async () => {
    const { channel, publish, bringBack } = await stage();
    const outgoing = task("q");
    const verdict = publish(outgoing);
    bringBack(outgoing, {});
    channel.publishConfirmed(1, false, false);
    expect(await verdict).toEqual({ is: "unroutable" });
  });

  test("takes no notice of answers that it does not wait for", async () => {
    const { channel, publish, bringBack, outlet } = await stage();
    bringBack(task("q"));
    channel.publishConfirmed(7, true, false);
    const verdict = publish(task("q"));
    channel.publishConfirmed(9, false, false);
    expect(outlet.size).toBe(1);
    channel.publishConfirmed(0, true, false);
    expect(await verdict).toEqual({ is: "confirmed" });
  });
});
