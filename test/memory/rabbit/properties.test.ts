/**
 * Properties of the reducer over random command sequences (P02, P03, P06, P07), and over small worlds of their own (P04, P05).
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RabbitEvent } from "../../../adapters/memory/rabbit/event.ts";
import { type At, deliveries, Server, textOf } from "./server.ts";

const RUNS = 300;

/** Counts what a property met and fails for what it never met. */
class Coverage {
  readonly #name: string;
  readonly #seen: Map<string, number>;

  constructor(name: string, classes: readonly string[]) {
    this.#name = name;
    this.#seen = new Map(classes.map((one) => [one, 0]));
  }

  note(one: string, condition = true): void {
    if (condition) this.#seen.set(one, (this.#seen.get(one) ?? 0) + 1);
  }

  close(): void {
    console.log(`${this.#name}: ${RUNS} runs, ${JSON.stringify(Object.fromEntries(this.#seen))}`);
    expect([...this.#seen].filter(([, count]) => count === 0)).toEqual([]);
  }
}

/** `expect` is too slow for what is looked at after every step. */
function same(actual: unknown, wanted: unknown): void {
  if (!Object.is(actual, wanted)) expect(actual).toBe(wanted);
}

interface Op {
  readonly kind: string;
  readonly slot: number;
  readonly a: number;
  readonly b: number;
}

const KINDS: Readonly<Record<string, number>> = {
  publish: 12,
  fanout: 2,
  consume: 5,
  cancel: 2,
  qos: 3,
  get: 3,
  ack: 6,
  nack: 4,
  reject: 3,
  close: 2,
  drop: 1,
  purge: 1,
  wait: 3,
  badTag: 1,
};

const opsArb: fc.Arbitrary<readonly Op[]> = fc.array(
  fc.noBias(fc.record({
    kind: fc.oneof(
      ...Object.entries(KINDS).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })),
    ),
    slot: fc.nat(3),
    a: fc.nat(999),
    b: fc.nat(999),
  })),
  { minLength: 10, maxLength: 120, size: "max" },
);

/** Queues of each kind: plain, with an end, with a bound that drops, with a bound that refuses, with priorities. */
const QUEUES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  plain: {},
  short: { "x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "plain" },
  small: { "x-max-length": 3, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "plain" },
  full: { "x-max-length": 3, "x-overflow": "reject-publish" },
  ranked: { "x-max-priority": 5 },
};
const NAMES: readonly string[] = Object.keys(QUEUES);

interface Sent {
  readonly slot: number;
  readonly number: number;
  readonly priority: number;
}

/** A run: four channels on two connections over five queues. */
class Run {
  readonly server: Server = new Server();
  readonly slots: At[];
  readonly sent: Map<string, Sent> = new Map<string, Sent>();
  /** How often each queue was sent something by a publish of ours. */
  readonly routed: Map<string, number> = new Map<string, number>();
  #tags = 0;
  #numbers = 0;
  #channels = 10;

  constructor() {
    const connections = [this.server.connect(), this.server.connect()];
    this.slots = [0, 1, 2, 3].map((slot) => this.server.channel(connections[slot >> 1], 1 + (slot & 1)));
    const at = this.server.channel();
    at.exchange("all", "fanout");
    for (const name of NAMES) {
      at.declare(name, { arguments: QUEUES[name] ?? {} });
      at.bind(name, "all");
    }
  }

  at(slot: number): At {
    const at = this.slots[slot] as At;
    if (at.isOpen) return at;
    const alive = this.server.rabbit.connections.has(at.connection);
    const connection = alive ? at.connection : this.server.connect();
    const fresh = this.server.channel(connection, ++this.#channels);
    this.slots[slot] = fresh;
    return fresh;
  }

  /** Consumers are told apart by tags that are never used again. */
  step({ kind, slot, a, b }: Op): readonly RabbitEvent[] {
    const at = this.at(slot);
    const queue = NAMES[a % NAMES.length] ?? "";
    const tag = (): number => at.tags[b % Math.max(1, at.tags.length)] ?? 0;
    switch (kind) {
      case "publish":
      case "fanout": {
        const text = `m${++this.#numbers}`;
        const priority = b % 7;
        this.sent.set(text, { slot, number: this.#numbers, priority });
        const before = this.server.queue("full").tally.routed;
        const events = kind === "publish"
          ? at.publish(queue, text, { properties: { priority } })
          : at.publish("", text, { exchange: "all", properties: { priority } });
        const refused = this.server.queue("full").tally.routed === before;
        for (const name of kind === "publish" ? [queue] : NAMES) {
          if (name === "full" && refused) continue;
          this.routed.set(name, (this.routed.get(name) ?? 0) + 1);
        }
        return events;
      }
      case "consume":
        return at.consume(queue, `c${++this.#tags}`, {
          noAck: b % 5 === 0,
          arguments: b % 3 === 0 ? { "x-priority": a % 4 } : {},
        });
      case "cancel":
        return at.cancel(`c${1 + (b % Math.max(1, this.#tags))}`);
      case "qos":
        return at.qos(a % 4);
      case "get":
        return at.get(queue, b % 4 === 0);
      case "ack":
        return tag() === 0 ? [] : at.ack(tag(), a % 3 === 0);
      case "nack":
        return tag() === 0 ? [] : at.nack(tag(), a % 3 === 0);
      case "reject":
        return tag() === 0 ? [] : at.reject(tag());
      case "badTag":
        return at.ack(10_000 + b);
      case "close":
        return at.close();
      case "drop":
        return this.server.send({ do: "connection.drop", connection: at.connection });
      case "purge":
        return at.purge(queue);
      default:
        return this.server.wait(a % 40);
    }
  }

  /** All open channels of the server. */
  *channels() {
    for (const connection of this.server.rabbit.connections.values()) yield* connection.channels.values();
  }

  queueOf(
    event: { readonly connection: number; readonly channel: number; readonly consumerTag: string },
  ): string {
    const channel = this.server.rabbit.connections.get(event.connection)?.channels.get(event.channel);
    return channel?.consumers.get(event.consumerTag)?.queue.name ?? "";
  }
}

test("P02 fifo: first deliveries of one sender's messages in one queue come to one consumer in the order of sending", () => {
  const cover = new Coverage("P02", ["first delivery", "redelivery", "two senders in one queue"]);
  fc.assert(
    fc.property(opsArb, (ops) => {
      const run = new Run();
      const last = new Map<string, number>();
      const senders = new Map<string, Set<number>>();
      for (const op of ops) {
        for (const event of deliveries(run.step(op))) {
          const sent = run.sent.get(textOf(event));
          const queue = run.queueOf(event);
          cover.note("redelivery", event.redelivered);
          // A priority queue has its own order, a dead letter comes when it dies.
          if (
            event.redelivered || sent === undefined || queue === "ranked" ||
            "x-death" in event.message.headers
          ) continue;
          cover.note("first delivery");
          senders.set(queue, (senders.get(queue) ?? new Set()).add(sent.slot));
          const key = `${event.consumerTag} ${sent.slot}`;
          expect(sent.number).toBeGreaterThan(last.get(key) ?? 0);
          last.set(key, sent.number);
        }
      }
      cover.note("two senders in one queue", [...senders.values()].some((slots) => slots.size > 1));
    }),
    { numRuns: RUNS },
  );
  cover.close();
});

test("P03 conservation: after every step each message is ready, unacked, or accounted for", () => {
  const classes = ["acked", "rejected", "expired", "maxlen", "purged", "unacked", "ready", "dead letter"];
  const cover = new Coverage("P03", classes);
  fc.assert(
    fc.property(opsArb, (ops) => {
      const run = new Run();
      for (const op of ops) {
        run.step(op);
        const held = new Map<string, number>();
        for (const channel of run.channels()) {
          for (const { queue } of channel.outstanding()) {
            held.set(queue.name, (held.get(queue.name) ?? 0) + 1);
          }
        }
        const dead = ["short", "small"].reduce((sum, name) => {
          const { rejected, expired, maxlen } = run.server.queue(name).tally;
          return sum + rejected + expired + maxlen;
        }, 0);
        cover.note("dead letter", dead > 0);
        for (const name of NAMES) {
          const { ready, unacked, tally } = run.server.queue(name);
          const { acked, rejected, expired, maxlen, purged } = tally;
          for (const [what, count] of Object.entries({ ...tally, unacked, ready: ready.size })) {
            cover.note(what, count > 0);
          }
          same([...ready].length, ready.size);
          same(ready.bytes, [...ready].reduce((sum, entry) => sum + entry.message.body.byteLength, 0));
          same(unacked, held.get(name) ?? 0);
          same(ready.size + unacked + acked + rejected + expired + maxlen + purged, tally.routed);
          same(tally.routed, (run.routed.get(name) ?? 0) + (name === "plain" ? dead : 0));
        }
      }
    }),
    { numRuns: RUNS },
  );
  cover.close();
});

test("P06 prefetch: nobody holds more than its bound, and nothing is ready where somebody has room", () => {
  const cover = new Coverage("P06", [
    "full consumer",
    "ready behind full consumers",
    "unbounded consumer",
    "bound 1",
  ]);
  fc.assert(
    fc.property(opsArb, (ops) => {
      const run = new Run();
      const bounds = new Map<string, number>();
      for (const op of ops) {
        const at = run.at(op.slot);
        const channel = run.server.rabbit.connections.get(at.connection)?.channels.get(at.channel);
        const prefetch = channel?.prefetch ?? 0;
        for (const event of run.step(op)) {
          if (event.is === "basic.consume-ok") {
            bounds.set(event.consumerTag, prefetch === 0 ? Infinity : prefetch);
          }
        }
        const held = new Map<string, number>();
        for (const one of run.channels()) {
          for (const { consumerTag = "" } of one.outstanding()) {
            held.set(consumerTag, (held.get(consumerTag) ?? 0) + 1);
          }
        }
        for (const name of NAMES) {
          const queue = run.server.queue(name);
          let room = 0;
          for (const consumer of queue.turns) {
            const bound = bounds.get(consumer.tag) ?? 0;
            const count = held.get(consumer.tag) ?? 0;
            if (consumer.noAck) room++;
            else {
              same(count <= bound, true);
              if (count < bound) room++;
              cover.note("full consumer", count === bound);
              cover.note("unbounded consumer", bound === Infinity && count > 0);
              cover.note("bound 1", bound === 1);
            }
          }
          if (room > 0) same(queue.ready.size, 0);
          else cover.note("ready behind full consumers", queue.turns.size > 0 && queue.ready.size > 0);
        }
      }
    }),
    { numRuns: RUNS },
  );
  cover.close();
});

test("P07 redelivered: false exactly at the first hand-out of a message by its queue", () => {
  const cover = new Coverage("P07", [
    "first",
    "again",
    "by get",
    "after a close",
    "after a drop",
    "after a nack",
  ]);
  fc.assert(
    fc.property(opsArb, (ops) => {
      const run = new Run();
      const handed = new Set<string>();
      let returned = "";
      for (const op of ops) {
        const queueOfGet = NAMES[op.a % NAMES.length] ?? "";
        if (["close", "drop", "nack"].includes(op.kind)) returned = op.kind;
        for (const event of run.step(op)) {
          if (event.is !== "basic.deliver" && event.is !== "basic.get-ok") continue;
          const queue = event.is === "basic.get-ok" ? queueOfGet : run.queueOf(event);
          // A dead letter is a new message to the queue that it comes to, once for each way there.
          const deaths = JSON.stringify(event.message.headers["x-first-death-queue"] ?? "");
          const key = `${queue} ${textOf(event)} ${deaths}`;
          expect([key, event.redelivered]).toEqual([key, handed.has(key)]);
          handed.add(key);
          cover.note(event.redelivered ? "again" : "first");
          cover.note("by get", event.is === "basic.get-ok" && event.redelivered);
          cover.note(`after a ${returned}`, event.redelivered && returned !== "");
        }
      }
    }),
    { numRuns: RUNS },
  );
  cover.close();
});

test("P04 requeue position: whatever is taken and given back, what is ready stands by publication", () => {
  const cover = new Coverage("P04", [
    "acked",
    "nacked one",
    "nacked many",
    "closed",
    "dropped",
    "priority queue",
  ]);
  const arb = fc.record({
    count: fc.integer({ min: 1, max: 40 }),
    priorities: fc.boolean(),
    ways: fc.array(fc.record({ take: fc.nat(12), how: fc.nat(5), pick: fc.nat(100) }), {
      minLength: 1,
      maxLength: 12,
    }),
  });
  fc.assert(
    fc.property(arb, ({ count, priorities, ways }) => {
      const server = new Server();
      const maker = server.channel();
      maker.declare("q", { arguments: priorities ? { "x-max-priority": 3 } : {} });
      cover.note("priority queue", priorities);
      const rank = (number: number): number => priorities ? (number * 7) % 4 : 0;
      const left = new Set<number>();
      for (let number = 0; number < count; number++) {
        maker.publish("q", String(number), { properties: { priority: rank(number) } });
        left.add(number);
      }
      for (const { take, how, pick } of ways) {
        const at = server.channel();
        const taken: number[] = [];
        for (let turn = 0; turn < take; turn++) {
          const [event] = at.get("q");
          if (event?.is === "basic.get-ok") taken.push(Number(textOf(event)));
        }
        const order = at.tags.toSorted((x, y) => ((x * pick) % 11) - ((y * pick) % 11));
        if (how === 0) {
          for (const tag of order) at.nack(tag);
          cover.note("nacked one", order.length > 0);
        } else if (how === 1) {
          at.nack(0, true);
          cover.note("nacked many", order.length > 1);
        } else if (how === 2) {
          const acked = order.filter((_, index) => index % 2 === 0);
          for (const tag of acked) {
            at.ack(tag);
            left.delete(taken[tag - 1] ?? -1);
            cover.note("acked");
          }
          at.close();
        } else if (how === 3) {
          at.close();
          cover.note("closed", order.length > 0);
        } else {
          server.send({ do: "connection.drop", connection: at.connection });
          cover.note("dropped", order.length > 0);
        }
      }
      const wanted = [...left].sort((x, y) => rank(y) - rank(x) || x - y);
      expect(server.drain("q").map(Number)).toEqual(wanted);
    }),
    { numRuns: RUNS },
  );
  cover.close();
});

test("P05 ack algebra: multiple takes every outstanding tag up to one that is outstanding itself, anything else closes", () => {
  const cover = new Coverage("P05", [
    "single",
    "multiple",
    "all",
    "zero alone",
    "used",
    "future",
    "with holes",
  ]);
  const arb = fc.record({
    count: fc.integer({ min: 0, max: 15 }),
    acks: fc.array(fc.record({ tag: fc.nat(17), multiple: fc.boolean(), nack: fc.boolean() }), {
      maxLength: 12,
    }),
  });
  fc.assert(
    fc.property(arb, ({ count, acks }) => {
      const server = new Server();
      const [maker, at] = [server.channel(), server.channel()];
      maker.declare("q");
      for (let number = 1; number <= count; number++) maker.publish("q", String(number));
      for (let number = 1; number <= count; number++) at.get("q");
      let outstanding = new Set(Array.from({ length: count }, (_, index) => index + 1));
      for (const { tag, multiple, nack } of acks) {
        const events = nack ? at.nack(tag, multiple, false) : at.ack(tag, multiple);
        const good = outstanding.has(tag) || (tag === 0 && multiple);
        if (!good) {
          expect(events.map((event) => event.is)).toEqual(["channel.close"]);
          expect(events[0]).toMatchObject({
            code: 406,
            text: `PRECONDITION_FAILED - unknown delivery tag ${tag}`,
          });
          expect(server.queue("q").ready.size).toBe(outstanding.size);
          expect(server.queue("q").unacked).toBe(0);
          cover.note(tag === 0 ? "zero alone" : tag > count ? "future" : "used");
          return;
        }
        const taken = [...outstanding].filter((one) => multiple ? tag === 0 || one <= tag : one === tag);
        cover.note(tag === 0 ? "all" : multiple ? "multiple" : "single");
        cover.note("with holes", multiple && taken.length > 1 && taken.length < (tag || count));
        outstanding = new Set([...outstanding].filter((one) => !taken.includes(one)));
        expect(events).toEqual([]);
        expect(at.tags).toEqual([...outstanding]);
      }
    }),
    { numRuns: RUNS },
  );
  cover.close();
});
