/**
 * The sending half of a broker on RabbitMQ over one connection for all calls.
 *
 * @module
 */
import type { AMQPMessage } from "@cloudamqp/amqp-client";
import type { Call, Entity, Outgoing, PublishOptions, Verdict } from "../../src/broker.ts";
import { Batch, type Publication } from "./batch.ts";
import { CLOSED_BY_US, type Epoch } from "./epoch.ts";
import { within } from "./limit.ts";
import type { Settings } from "./options.ts";
import { Session } from "./session.ts";
import { refuse } from "./verdict.ts";

/** The connection for all calls. */
export interface Shared {
  /** The live connection, ready for messages, or one attempt to get it. */
  open(): Promise<Epoch>;
  /** Declares what does not stand. */
  declare(entities: readonly Entity[], call: Call): Promise<void>;
  /** A message found no queue: what was declared may be gone. */
  unroutable(): void;
  /** The properties of what came back, as bytes. */
  propertiesOf(message: AMQPMessage): Uint8Array;
}

/** Publishes over a connection that it shares with others. */
export class SharedSender {
  readonly #settings: Settings;
  readonly #shared: Shared;
  readonly #batches: Set<Batch> = new Set();
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;

  constructor(settings: Settings, shared: Shared) {
    this.#settings = settings;
    this.#shared = shared;
  }

  async publish(
    outgoings: readonly Outgoing[],
    { declare = [], ...call }: PublishOptions = {},
  ): Promise<readonly Verdict[]> {
    if (declare.length > 0) await this.#shared.declare(declare, call);
    const batch = new Batch(outgoings, call, this.#settings);
    if (batch.due.length === 0) return await batch.verdicts;
    this.#batches.add(batch);
    batch.blocked = () => this.#session?.blocked;
    this.#send(batch.due);
    return await batch.verdicts.finally(() => this.#batches.delete(batch));
  }

  /** Waits for the verdicts that are due while the call lasts, then gives the rest up. */
  async drain(call: Call): Promise<void> {
    const { clock } = this.#settings.platform;
    const due = Promise.all([...this.#batches].map(({ verdicts }) => verdicts));
    await within(due, call, clock, "Publishing").catch(() => {});
    for (const batch of this.#batches) batch.giveUp("the broker was closed");
  }

  /** Sends what waits, after the broker lifted its block. */
  resume(): void {
    this.#session?.pump();
  }

  /** The connection is lost, or, without `error`, about to be closed by us: what never left goes over the next one. */
  drop(error?: Error): void {
    const session = this.#session;
    this.#session = undefined;
    const unsent = session?.lose(error?.message ?? "the connection was closed") ?? [];
    if (error === undefined || session?.worked === true) this.#send(unsent);
    else refuse(unsent, error);
  }

  #send(publications: readonly Publication[]): void {
    const due = publications.filter(({ settled }) => !settled);
    if (due.length === 0) return;
    if (this.#session !== undefined) return this.#session.add(due);
    const shared = this.#shared;
    const opening = this.#opening ??= shared.open().then((epoch) => {
      const site = {
        epoch,
        propertiesOf: (message: AMQPMessage) => shared.propertiesOf(message),
        unroutable: () => shared.unroutable(),
      };
      return this.#session = new Session(site, this.#settings.maxInFlight);
    }).finally(() => this.#opening = undefined);
    void opening.then(
      (session) => session === this.#session ? session.add(due) : this.#send(due),
      (error: { readonly code?: unknown }) =>
        // `close` ended that attempt; what waits now came after it.
        error.code === CLOSED_BY_US ? this.#send(due) : refuse(due, error),
    );
  }
}
