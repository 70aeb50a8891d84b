import fc from "fast-check";
import { textOf } from "../server.ts";
import { alike, type Property } from "./property.ts";
import { NAMES, opsArb, Run } from "./run.ts";

const WAYS: readonly string[] = ["close", "drop", "nack", "recover"];

export const redelivered: Property = {
  name: "P07 redelivered",
  statement: "false exactly at the first hand-out of a message by its queue",
  classes: ["first", "again", "by get", ...WAYS.map((way) => `after a ${way}`)],
  property: (cover) =>
    fc.property(opsArb, (ops) => {
      const run = new Run();
      const handed = new Set<string>();
      let returned = "";
      for (const op of ops) {
        const queueOfGet = NAMES[op.a % NAMES.length] ?? "";
        if (WAYS.includes(op.kind)) returned = op.kind;
        for (const event of run.step(op)) {
          if (event.is !== "basic.deliver" && event.is !== "basic.get-ok") continue;
          const queue = event.is === "basic.get-ok" ? queueOfGet : run.queueOf(event);
          // A dead letter is a new message to the queue that it comes to, once for each way there.
          const deaths = JSON.stringify(event.message.headers["x-first-death-queue"] ?? "");
          const key = `${queue} ${textOf(event)} ${deaths}`;
          alike(key, event.redelivered, handed.has(key));
          handed.add(key);
          cover.note(event.redelivered ? "again" : "first");
          cover.note("by get", event.is === "basic.get-ok" && event.redelivered);
          if (event.redelivered && returned !== "") cover.note(`after a ${returned}`);
        }
      }
    }),
};
