import fc from "fast-check";
import { deliveries, textOf } from "../server.ts";
import { type Property, same } from "./property.ts";
import { opsArb, Run } from "./run.ts";

export const fifo: Property = {
  name: "P02 fifo",
  statement:
    "first deliveries of one sender's messages in one queue come to one consumer in the order of sending",
  classes: ["first delivery", "redelivery", "two senders in one queue"],
  property: (cover) =>
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
          ) {
            continue;
          }
          cover.note("first delivery");
          senders.set(queue, (senders.get(queue) ?? new Set()).add(sent.slot));
          const key = `${event.consumerTag} ${sent.slot}`;
          same(`${key} goes up`, sent.number > (last.get(key) ?? 0), true);
          last.set(key, sent.number);
        }
      }
      cover.note("two senders in one queue", [...senders.values()].some((slots) => slots.size > 1));
    }),
};
