/** How much of what was declared a broker remembers, without a server. */
import { expect, test } from "vitest";
import type { Control } from "../../adapters/amqp/control.ts";
import type { Epoch } from "../../adapters/amqp/epoch.ts";
import { Topology } from "../../adapters/amqp/topology.ts";
import type { Entity } from "../../src/broker.ts";
import { MOST_NAMES } from "../../src/lib/recent.ts";

/** A connection that notes the names of the queues that are declared on it. */
function site(): { readonly epoch: Epoch; readonly control: Control; readonly names: string[] } {
  const names: string[] = [];
  const channel = { queueDeclare: (name: string) => Promise.resolve(names.push(name)) };
  const control = {
    ask: (_epoch: Epoch, question: (on: typeof channel) => Promise<unknown>) => question(channel),
  };
  return { epoch: {} as Epoch, control: control as unknown as Control, names };
}

function queue(name: string): Entity {
  return { kind: "queue", name, durable: true, exclusive: false, autoDelete: false };
}

test("queues that came with messages are forgotten when there are many; those that were asked for stay", async () => {
  const topology = new Topology("declare");
  const first = site();
  const own = [queue("own")];
  await topology.declare(own, first.epoch, first.control);
  topology.keep(own);
  const many = MOST_NAMES + 2000;
  for (let at = 0; at < many; at += 500) {
    const some = Array.from({ length: 500 }, (_, more) => queue(`q${at + more}`));
    await topology.declare(some, first.epoch, first.control);
  }
  expect(topology.stands([queue("q0")], [first.epoch])).toBe(false);
  expect(topology.stands([queue(`q${many - 1}`)], [first.epoch])).toBe(true);

  const next = site();
  const { epoch, control, names } = next;
  await topology.restore({ epoch, control, elsewhere: undefined, exclusive: true }, () => {});
  expect(names[0]).toBe("own");
  expect(names.length).toBeLessThanOrEqual(MOST_NAMES + 1);
  // What is forgotten is declared again by who needs it.
  await topology.declare([queue("q0")], epoch, control);
  expect(names.at(-1)).toBe("q0");
});
