import fc from "fast-check";
import { type Property, same } from "./property.ts";
import { DYING, NAMES, opsArb, Run } from "./run.ts";

export const conservation: Property = {
  name: "P03 conservation",
  statement: "after every step each message is ready, unacked, or accounted for",
  classes: ["routed", "acked", "rejected", "expired", "maxlen", "purged", "unacked", "ready", "dead letter"],
  property: (cover) =>
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
        const dead = DYING.reduce((sum, name) => {
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
          same(`${name} counts what is ready`, [...ready].length, ready.size);
          same(
            `${name} counts bytes`,
            ready.bytes,
            [...ready].reduce((sum, one) => sum + one.message.body.byteLength, 0),
          );
          same(`${name} counts what is held`, unacked, held.get(name) ?? 0);
          const all = ready.size + unacked + acked + rejected + expired + maxlen + purged;
          same(`${name} has no other message`, all, tally.routed);
          same(`${name} was sent`, tally.routed, (run.routed.get(name) ?? 0) + (name === "plain" ? dead : 0));
        }
      }
    }),
};
