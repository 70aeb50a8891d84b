/**
 * A producer on a broker that does what the test says, with time and ids in the test's hand.
 *
 * @module
 */
import { systemPlatform } from "../../src/lib/platform.ts";
import { Producer, type ProducerOptions } from "../../src/producer/mod.ts";
import { type Answers, type Asked, HandClock, stubBroker } from "../app/setup.ts";

/** A fresh producer and all that it touches. */
export function setup(
  { answers, ...options }: Partial<ProducerOptions> & { readonly answers?: Answers } = {},
): {
  readonly producer: Producer;
  readonly asked: Asked;
  readonly clock: HandClock;
  readonly drawn: string[];
} {
  const { broker, asked } = stubBroker(answers);
  const clock = new HandClock();
  const drawn: string[] = [];
  const ids = {
    uuid() {
      const id = `00000000-0000-4000-8000-${String(drawn.length + 1).padStart(12, "0")}`;
      drawn.push(id);
      return id;
    },
  };
  const host = { ...systemPlatform.host, hostname: "host", pid: 7 };
  const producer = new Producer({ broker, platform: { ...systemPlatform, clock, ids, host }, ...options });
  return { producer, asked, clock, drawn };
}
