import fc from "fast-check";
import { Server } from "../server.ts";
import { alike, type Property, same } from "./property.ts";

const worldArb = fc.record({
  count: fc.integer({ min: 4, max: 15 }),
  acks: fc.array(
    fc.record({
      tag: fc.noBias(fc.oneof(
        { weight: 1, arbitrary: fc.constant(0) },
        { weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }) },
        { weight: 4, arbitrary: fc.integer({ min: 5, max: 17 }) },
      )),
      multiple: fc.boolean(),
      nack: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  ),
});

export const acks: Property = {
  name: "P05 ack algebra",
  statement:
    "multiple takes every outstanding tag up to one that is outstanding itself, anything else closes",
  classes: ["single", "multiple", "all", "zero alone", "used", "future", "with holes"],
  property: (cover) =>
    fc.property(worldArb, ({ count, acks: words }) => {
      const server = new Server();
      const [maker, at] = [server.channel(), server.channel()];
      maker.declare("q");
      for (let number = 1; number <= count; number++) maker.publish("q", String(number));
      for (let number = 1; number <= count; number++) at.get("q");
      let outstanding = new Set(Array.from({ length: count }, (_, index) => index + 1));
      for (const { tag, multiple, nack } of words) {
        const events = nack ? at.nack(tag, multiple, false) : at.ack(tag, multiple);
        const good = outstanding.has(tag) || (tag === 0 && multiple);
        if (!good) {
          const [event] = events;
          same("one answer", events.length, 1);
          if (event?.is !== "channel.close") throw new Error(`${event?.is}, and not channel.close`);
          alike("the reason", [event.code, event.text], [
            406,
            `PRECONDITION_FAILED - unknown delivery tag ${tag}`,
          ]);
          same("all are back", server.queue("q").ready.size, outstanding.size);
          same("none is held", server.queue("q").unacked, 0);
          cover.note(tag === 0 ? "zero alone" : tag > count ? "future" : "used");
          return;
        }
        const taken = [...outstanding].filter((one) => multiple ? tag === 0 || one <= tag : one === tag);
        cover.note(tag === 0 ? "all" : multiple ? "multiple" : "single");
        cover.note("with holes", multiple && taken.length > 1 && taken.length < (tag || count));
        outstanding = new Set([...outstanding].filter((one) => !taken.includes(one)));
        same("no answer", events.length, 0);
        alike("outstanding tags", at.tags, [...outstanding]);
      }
    }),
};
