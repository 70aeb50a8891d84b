/**
 * What the tests of the AMQP adapter share: brokers through a proxy of the test's own, names that nobody else has, cleaning up.
 *
 * @module
 */
import { inject } from "vitest";
import { amqpBroker, type AmqpTcpOptions } from "../../adapters/amqp/tcp.ts";
import type { Broker, BrokerEvent, Consumer, Delivery, Entity, Outgoing, Verdict } from "../../src/broker.ts";
import { letter } from "../../src/testing/contract/letter.ts";
import { type Direction, type Proxy, startProxy } from "../support/proxy.ts";
import { until } from "../support/wait.ts";

/** Reconnects fast enough for a test. */
export const QUICK = { reconnect: { min: "10ms", max: "100ms" } } as const satisfies AmqpTcpOptions;

/** The URL of the shared server with other parts. */
export function urlWith(
  parts: { host?: string; username?: string; password?: string; path?: string },
  base = inject("amqp"),
): string {
  const url = new URL(base);
  if (parts.host !== undefined) url.host = parts.host;
  if (parts.username !== undefined) url.username = parts.username;
  if (parts.password !== undefined) url.password = parts.password;
  if (parts.path !== undefined) url.pathname = parts.path;
  return url.href;
}

/** One method frame on its way. */
export interface Frame {
  readonly direction: Direction;
  readonly channel: number;
  /** "basic.ack" and the like as numbers: "60.80". */
  readonly method: string;
}

/** Everything of one test; disposing it closes the brokers, deletes the queues, ends the proxy. */
export class Rig implements AsyncDisposable {
  readonly proxy: Proxy;
  readonly #url: string;
  readonly #brokers: Broker[] = [];
  readonly #direct: Broker;
  readonly #queues: string[] = [];

  private constructor(proxy: Proxy, url: string, direct: string) {
    this.proxy = proxy;
    this.#url = url;
    this.#direct = amqpBroker(direct);
  }

  static async start(server: string = inject("amqp")): Promise<Rig> {
    const { hostname, port } = new URL(server);
    const proxy = await startProxy({ host: hostname, port: Number(port) });
    return new Rig(proxy, urlWith({ host: `127.0.0.1:${proxy.port}` }, server), server);
  }

  /** The URL that leads through the proxy. */
  get url(): string {
    return this.#url;
  }

  /** A broker through the proxy. */
  broker(options: AmqpTcpOptions = {}): Broker {
    const broker = amqpBroker(this.#url, { ...QUICK, ...options });
    this.#brokers.push(broker);
    return broker;
  }

  /** A broker that does not go through the proxy: for the other side of a test. */
  get direct(): Broker {
    return this.#direct;
  }

  entity(more: Partial<Entity & { kind: "queue" }> = {}): Entity & { kind: "queue" } {
    const name = `celeriac.test.${crypto.randomUUID()}`;
    this.#queues.push(name);
    const table = { "x-expires": 120_000 };
    return {
      kind: "queue",
      name,
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: table,
      ...more,
    };
  }

  /** Declares a fresh queue without the proxy. */
  async queue(): Promise<string> {
    const entity = this.entity();
    await this.#direct.declare([entity]);
    return entity.name;
  }

  /** Publishes without the proxy. */
  async fill(queue: string, texts: readonly string[]): Promise<void> {
    const verdicts = await this.#direct.publish(texts.map((text) => task(queue, text)));
    if (verdicts.some(({ is }) => is !== "confirmed")) throw new Error(JSON.stringify(verdicts));
  }

  /** Ready messages, asked without the proxy. */
  async count(queue: string): Promise<number> {
    return await this.#direct.count(queue);
  }

  async counts(queue: string, count: number): Promise<void> {
    await until(async () => await this.count(queue) === count, { what: `${count} messages in the queue` });
  }

  /** Records the method frames that pass from now on; heartbeats, headers and bodies are left out. */
  record(): readonly Frame[] {
    const frames: Frame[] = [];
    this.proxy.onChunk = (direction, bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      // The greeting "AMQP0091" is no frame. Small frames in one turn come as one chunk, so no frame is split.
      for (let at = bytes[0] === 65 ? 8 : 0; at + 11 <= bytes.length; at += view.getUint32(at + 3) + 8) {
        if (view.getUint8(at) !== 1) continue;
        const method = `${view.getUint16(at + 7)}.${view.getUint16(at + 9)}`;
        frames.push({ direction, channel: view.getUint16(at + 1), method });
      }
    };
    return frames;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.onChunk = undefined;
    this.proxy.heal();
    for (const broker of this.#brokers) await broker.close({ deadline: Date.now() + 500 });
    for (const queue of this.#queues) await this.#direct.purge(queue);
    await this.#direct.close();
    await this.proxy[Symbol.asyncDispose]();
  }
}

/** A task-like message to a queue. */
export function task(
  queue: string,
  text = "[[1, 2], {}, {}]",
  properties: Readonly<Record<string, unknown>> = {},
): Outgoing {
  return { message: letter(text, properties), to: { exchange: "", routingKey: queue }, mustRoute: true };
}

/** The kinds of verdicts, for short assertions. */
export function kinds(verdicts: readonly Verdict[]): string[] {
  return verdicts.map(({ is }) => is);
}

/** Collects events until disposed of. */
export function events(broker: Broker): BrokerEvent[] {
  const seen: BrokerEvent[] = [];
  broker.observe((event) => seen.push(event));
  return seen;
}

/** Waits until the consumer consumes. */
export async function consuming(consumer: Consumer): Promise<void> {
  await until(() => consumer.aliveAt > 0, { what: "a first sign of life" });
}

/** All that an error shows: message, stack, hint, and those of its causes. */
export function everything(error: unknown): string {
  const parts: string[] = [];
  for (let each = error; each !== undefined && each !== null && parts.length < 50;) {
    parts.push(String(each));
    if (typeof each !== "object") break;
    for (const name of Object.getOwnPropertyNames(each)) {
      const value: unknown = (each as Record<string, unknown>)[name];
      if (typeof value !== "object") parts.push(String(value));
      else if (name !== "cause") parts.push(JSON.stringify(value));
    }
    each = (each as { cause?: unknown }).cause;
  }
  return parts.join("\n");
}

/** The next `count` deliveries; the consumer goes on. */
export async function take(source: AsyncIterable<Delivery>, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  for await (const delivery of source) {
    taken.push(delivery);
    if (taken.length === count) break;
  }
  return taken;
}

/** Whether the link of an unsettled delivery is gone. */
export function lost(delivery: Delivery): boolean {
  let told = false;
  delivery.onLost(() => told = true)[Symbol.dispose]();
  return told;
}

/** `make` for 0, 1, 2 … */
export function times<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at));
}
