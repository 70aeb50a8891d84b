import fc from "fast-check";
import { Server, textOf } from "../server.ts";
import { type Death, Graves, type Letter, type Rules } from "./graves.ts";
import { alike, type Property } from "./property.ts";

const QUEUES = ["a", "b", "c"] as const;

const rulesArb: fc.Arbitrary<Rules> = fc.record({
  ttl: fc.constantFrom(0, 7, 13, 29, 1000),
  most: fc.integer({ min: 0, max: 3 }),
  grave: fc.record({
    exchange: fc.constantFrom("" as const, "" as const, "all" as const, "missing" as const),
    key: fc.constantFrom(...QUEUES),
  }, { requiredKeys: ["exchange"] }),
}, { requiredKeys: [] });

const stepArb = fc.record({
  kind: fc.constantFrom(
    "publish",
    "publish",
    "publish",
    "take",
    "take",
    "reject",
    "giveBack",
    "wait",
    "wait",
  ),
  queue: fc.constantFrom(...QUEUES),
  pick: fc.nat(99),
  expiration: fc.option(fc.constantFrom("0", "5", "11", "50"), { nil: undefined }),
});

const worldArb = fc.record({
  a: rulesArb,
  b: rulesArb,
  c: rulesArb,
  steps: fc.array(stepArb, { minLength: 1, maxLength: 60, size: "max" }),
});

function tableOf({ ttl, most, grave }: Rules): Record<string, unknown> {
  return {
    ...(ttl === undefined ? {} : { "x-message-ttl": ttl }),
    ...(most === undefined ? {} : { "x-max-length": most }),
    ...(grave === undefined ? {} : { "x-dead-letter-exchange": grave.exchange }),
    ...(grave?.key === undefined ? {} : { "x-dead-letter-routing-key": grave.key }),
  };
}

interface Told {
  readonly count: number;
  readonly reason: string;
  readonly queue: string;
  readonly time: Date;
  readonly exchange: string;
  readonly "routing-keys": readonly string[];
  readonly "original-expiration"?: string;
}

function deathOf(told: Told): Death {
  const {
    count,
    reason,
    queue,
    time,
    exchange,
    "routing-keys": [key = ""],
    "original-expiration": expiration,
  } = told;
  return { count, reason, queue, time: time.getTime() / 1000, exchange, key, expiration };
}

/** A queue of the reducer in the model's words. */
function letters(server: Server, queue: string): readonly (Letter & { readonly end: number })[] {
  return [...server.queue(queue).ready].toSorted((a, b) => a.seq - b.seq).map((entry) => {
    const { message, exchange, routingKey: key, expiry: end } = entry;
    const deaths = ((message.headers["x-death"] ?? []) as readonly Told[]).map(deathOf);
    const expiration = message.properties["expiration"] as string | undefined;
    return { text: textOf(entry), exchange, key, expiration, deaths, end };
  });
}

export const ends: Property = {
  name: "P11 ends and dead letters",
  statement: "what ends ends at the head and at its time, and the dead are told and laid by the book",
  classes: [
    "expired",
    "maxlen",
    "rejected",
    "counted again",
    "cycle left",
    "no grave",
    "kept key",
    "own time taken off",
    "dead of three queues",
  ],
  optional: ["tie left out", "endless cycle left out"],
  property: (cover) =>
    fc.property(worldArb, ({ steps, ...rules }) => {
      const server = new Server();
      const model = new Graves(rules, server.now, (what) => cover.note(what));
      const at = server.channel();
      at.exchange("all", "fanout");
      for (const queue of QUEUES) {
        at.declare(queue, { arguments: tableOf(rules[queue]) });
        at.bind(queue, "all");
      }
      const held: { readonly queue: string; readonly place: NonNullable<ReturnType<Graves["take"]>> }[] = [];
      const tags: number[] = [];
      for (const [number, { kind, queue, pick, expiration }] of steps.entries()) {
        const [one] = kind === "reject" || kind === "giveBack"
          ? held.splice(pick % Math.max(1, held.length), 1)
          : [];
        if (kind === "publish") {
          at.publish(queue, `m${number}`, { properties: expiration === undefined ? {} : { expiration } });
          model.publish(queue, `m${number}`, expiration);
        } else if (kind === "take") {
          const [event] = at.get(queue);
          const place = model.take(queue);
          alike(
            "what is taken",
            event?.is === "basic.get-ok" ? textOf(event) : undefined,
            place?.letter.text,
          );
          if (place === undefined || event?.is !== "basic.get-ok") continue;
          held.push({ queue, place });
          tags.push(event.deliveryTag);
        } else if (kind === "wait") {
          model.wait(server.now + (pick % 40));
          server.wait(pick % 40);
        } else if (one !== undefined) {
          const [tag = 0] = tags.splice(pick % tags.length, 1);
          if (kind === "reject") {
            at.reject(tag);
            model.reject(one.queue, one.place);
          } else {
            at.nack(tag);
            model.giveBack(one.queue, one.place);
          }
        }
        cover.note("tie left out", model.tied);
        cover.note("endless cycle left out", model.endless);
        if (model.tied || model.endless) return;
        // One that goes to all queues again and again would soon be thousands.
        if (QUEUES.some((name) => model.ready(name).length > 40)) return;
        for (const name of QUEUES) {
          const wanted = model.ready(name).map(({ letter, end }) => ({ ...letter, end }));
          alike(`what is ready in ${name}`, letters(server, name), wanted);
          cover.note("dead of three queues", wanted.some(({ deaths }) => deaths.length > 2));
        }
      }
    }),
};
