/**
 * A broker over HTTP: all that needs no consuming.
 *
 * @module
 */
import type {
  Broker,
  BrokerFeatures,
  Call,
  Entity,
  Outgoing,
  PublishOptions,
  Verdict,
} from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import { faultOf, misfit } from "./http-fault.ts";
import type { Answer } from "./http-link.ts";
import { HttpPublisher, MOST, PUBLISHES } from "./http-publisher.ts";
import { Trouble } from "./http-trouble.ts";
import { bind } from "./packer.ts";
import { STEPS } from "./kombu.ts";

/** What a message needs besides its body, about. */
const HEAD = 1500;

/** The {@link Broker}; see the module. */
export class HttpBroker extends HttpPublisher implements Broker {
  override readonly features: BrokerFeatures = {
    ...PUBLISHES,
    delivery: "poll",
    subscribe: false,
    requeue: "front",
    park: "none",
    maxPark: 0,
    loss: "lease",
    attempts: false,
  };

  /** As several requests, one after the other, where one could not hold the batch. */
  override async publish(
    batch: readonly Outgoing[],
    options: PublishOptions = {},
  ): Promise<readonly Verdict[]> {
    if (batch.length === 0) {
      // There is no verdict that could tell.
      await this.declare(options.declare ?? [], options);
      return [];
    }
    const half = batch.length >> 1;
    const size = batch.reduce((sum, { message }) => sum + message.body.length + HEAD, 0);
    if (half === 0 || size <= MOST) return await super.publish(batch, options);
    const { platform: { clock }, timeout } = this;
    const call = { ...options, deadline: options.deadline ?? clock.now() + timeout };
    const first = await this.publish(batch.slice(0, half), call);
    return [...first, ...await this.publish(batch.slice(half), call)];
  }

  async connect(options?: Call): Promise<void> {
    await this.#run([], ["PING"], options);
  }

  async declare(entities: readonly Entity[], options: Call = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const bindings = bind(this, entities);
    if (bindings.length > 0) await this.#run([], this.script(bindings, [], 0), options);
  }

  count(queue: string): Promise<number> {
    return this.#lengths(queue, []);
  }

  purge(queue: string): Promise<number> {
    return this.#lengths(queue, ["DEL"]);
  }

  consume(): never {
    throw new ConfigurationError(
      "broker-publishes-only",
      "Over HTTP messages are published; consuming is not here yet.",
      {
        hint: "Run workers on Redis over TCP (Python's), or on RabbitMQ.",
      },
    );
  }

  subscribe(): never {
    return this.consume();
  }

  observe(): Disposable {
    // There is no link of which there could be news.
    return { [Symbol.dispose]: () => {} };
  }

  async #lengths(queue: string, more: readonly string[]): Promise<number> {
    const lists = STEPS.map((step) => this.prefix + queue + step);
    const asked = [...lists.map((list) => ["LLEN", list]), ...more.map((name) => [name, ...lists])];
    const all = await this.#run(["multi-exec"], asked);
    if (Array.isArray(all) && all.length === asked.length && all.every(Number.isSafeInteger)) {
      return (all as number[]).slice(0, lists.length).reduce((sum, length) => sum + length, 0);
    }
    throw faultOf("broker", this.address, misfit());
  }

  async #run(path: readonly string[], body: readonly unknown[], call: Call = {}): Promise<unknown> {
    const answer = await this.ask(path, body, call);
    call.signal?.throwIfAborted();
    const met = answer instanceof Trouble
      ? answer
      : [answer.result].flat().find((one) => one instanceof Trouble);
    if (met !== undefined) throw faultOf("broker", this.address, met);
    return (answer as Answer).result;
  }
}
