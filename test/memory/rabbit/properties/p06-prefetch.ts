import fc from "fast-check";
import { deliveries } from "../server.ts";
import { type Property, same } from "./property.ts";
import { NAMES, opsArb, Run } from "./run.ts";

/** What each consumer may hold, by its tag. */
class Bounds {
  readonly #bounds: Map<string, number> = new Map<string, number>();

  step(run: Run, op: Parameters<Run["step"]>[0]): ReturnType<Run["step"]> {
    const at = run.at(op.slot);
    const prefetch = run.server.rabbit.connections.get(at.connection)?.channels.get(at.channel)?.prefetch ??
      0;
    const events = run.step(op);
    for (const event of events) {
      if (event.is === "basic.consume-ok") {
        this.#bounds.set(event.consumerTag, prefetch === 0 ? Infinity : prefetch);
      }
    }
    return events;
  }

  of(tag: string): number {
    return this.#bounds.get(tag) ?? 0;
  }
}

export const prefetch: Property = {
  name: "P06 prefetch",
  statement: "nobody holds more than its bound, and nothing is ready where somebody has room",
  classes: ["full consumer", "ready behind full consumers", "unbounded consumer", "bound 1"],
  property: (cover) =>
    fc.property(opsArb, (ops) => {
      const run = new Run();
      const bounds = new Bounds();
      for (const op of ops) {
        bounds.step(run, op);
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
            const bound = bounds.of(consumer.tag);
            const count = held.get(consumer.tag) ?? 0;
            if (consumer.noAck || count < bound) {
              room++;
            }
            if (consumer.noAck) continue;
            same(`${consumer.tag} is within its bound`, count <= bound, true);
            cover.note("full consumer", count === bound);
            cover.note("unbounded consumer", bound === Infinity && count > 0);
            cover.note("bound 1", bound === 1);
          }
          // Of a single active consumer's queue the room of the others does not count.
          if (room > 0 && !queue.turns.single) same(`${name} serves who has room`, queue.ready.size, 0);
          else cover.note("ready behind full consumers", queue.turns.size > 0 && queue.ready.size > 0);
        }
      }
    }),
};

export const singleActive: Property = {
  name: "R-SAC1 single active consumer",
  statement:
    "one consumer is served until it leaves, be it full or not; then the highest, and of these the first to come",
  classes: ["served", "not served while another one is", "takeover"],
  property: (cover) =>
    fc.property(opsArb, (ops) => {
      const run = new Run();
      let active: string | undefined;
      for (const op of ops) {
        const before = [...run.server.queue("single").turns];
        const events = run.step(op);
        const { turns } = run.server.queue("single");
        const here = [...turns];
        if (!here.some(({ tag }) => tag === active)) {
          const stayed = before.filter((consumer) => here.includes(consumer));
          const [first] = (stayed.length > 0 ? stayed : here).toSorted((a, b) => b.priority - a.priority);
          cover.note("takeover", active !== undefined && first !== undefined);
          active = first?.tag;
        }
        for (const event of deliveries(events)) {
          if (run.queueOf(event) !== "single") continue;
          same("who is served", event.consumerTag, active);
          cover.note("served");
          cover.note("not served while another one is", turns.size > 1);
        }
      }
    }),
};
