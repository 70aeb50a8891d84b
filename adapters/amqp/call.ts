/**
 * Publishing with a connection for each call, and nothing that outlives it.
 *
 * @module
 */
import type { AMQPMessage } from "@cloudamqp/amqp-client";
import type { Outgoing, PublishBroker, PublishFeatures, PublishOptions, Verdict } from "../../src/broker.ts";
import { Batch } from "./batch.ts";
import { passing, type Roads } from "./connect.ts";
import { declareAll } from "./declare.ts";
import { within } from "./limit.ts";
import type { Settings } from "./options.ts";
import { Session } from "./session.ts";
import { refuse } from "./verdict.ts";

/** What the sending half can do. */
export function sendingFeatures({ link, maxMessage }: Settings): PublishFeatures {
  return {
    link,
    confirm: "durable",
    mustRoute: true,
    exchanges: ["direct", "topic", "fanout"],
    priority: "high-first",
    maxMessage,
  };
}

/** The sending half whose connections live for one call. Two calls have nothing in common, not even a promise. */
export class CallSender implements PublishBroker {
  readonly transport: string = "amqp";
  readonly address: string;
  readonly features: PublishFeatures;
  readonly #roads: Roads;
  readonly #propertiesOf: (message: AMQPMessage) => Uint8Array;

  constructor(roads: Roads, propertiesOf: (message: AMQPMessage) => Uint8Array) {
    this.#roads = roads;
    this.#propertiesOf = propertiesOf;
    this.address = roads.address;
    this.features = sendingFeatures({ ...roads.settings, link: "call" });
  }

  async publish(
    outgoings: readonly Outgoing[],
    { declare = [], ...call }: PublishOptions = {},
  ): Promise<readonly Verdict[]> {
    const { platform: { clock }, topology, maxInFlight } = this.#roads.settings;
    const batch = new Batch(outgoings, call, this.#roads.settings);
    const { due } = batch;
    const declares = declare.length > 0;
    if (due.length === 0 && !declares) return await batch.verdicts;
    let session: Session | undefined;
    batch.blocked = () => session?.blocked;
    return await passing(this.#roads, batch.deadline, () => session?.pump(), async (opening, hurry) => {
      batch.hurry = hurry;
      const ready = opening.then(async (epoch) => {
        const own = session = new Session(
          { epoch, propertiesOf: this.#propertiesOf, unroutable: () => {} },
          maxInFlight,
          declares,
        );
        epoch.onLost((error) => refuse(own.lose(error.message), error));
        own.add(due);
        if (!declares) return;
        // Asked for together with the channels to publish on.
        await epoch.channel(() => {}, (channel) => declareAll(declare, topology, channel));
        own.release();
      });
      try {
        if (declares) await within(ready, { ...call, deadline: batch.deadline }, clock, "Declaring");
        else ready.catch((error: unknown) => refuse(due, error));
      } catch (error) {
        batch.giveUp("a declaration failed");
        throw error;
      }
      return await batch.verdicts;
    });
  }

  /** Each call has closed what it opened. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
