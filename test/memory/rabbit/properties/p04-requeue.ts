import fc from "fast-check";
import { Server, textOf } from "../server.ts";
import { alike, type Property } from "./property.ts";

const worldArb = fc.record({
  count: fc.integer({ min: 1, max: 40 }),
  priorities: fc.boolean(),
  ways: fc.array(
    fc.record({
      take: fc.nat(12),
      how: fc.constantFrom("one by one", "at once", "some acked", "recover", "close", "drop"),
      pick: fc.nat(100),
    }),
    { minLength: 1, maxLength: 12 },
  ),
});

export const requeue: Property = {
  name: "P04 requeue position",
  statement: "whatever is taken and given back, what is ready stands by publication",
  classes: ["one by one", "at once", "some acked", "recover", "close", "drop", "priority queue"],
  property: (cover) =>
    fc.property(worldArb, ({ count, priorities, ways }) => {
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
        cover.note(how, taken.length > 1);
        const order = at.tags.toSorted((x, y) => ((x * pick) % 11) - ((y * pick) % 11));
        if (how === "one by one") { for (const tag of order) at.nack(tag); }
        else if (how === "at once") at.nack(0, true);
        else if (how === "recover") at.recover();
        else if (how === "close") at.close();
        else if (how === "drop") server.send({ do: "connection.drop", connection: at.connection });
        else {
          for (const tag of order.filter((_, index) => index % 2 === 0)) {
            at.ack(tag);
            left.delete(taken[tag - 1] ?? -1);
          }
          at.close();
        }
      }
      const wanted = [...left].sort((x, y) => rank(y) - rank(x) || x - y);
      alike("what is ready", server.drain("q").map(Number), wanted);
    }),
};
