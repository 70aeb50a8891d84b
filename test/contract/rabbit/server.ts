/**
 * A real RabbitMQ for sequences of steps: connections that outlive a run, and questions asked beside it.
 *
 * @module
 */
import { type AMQPChannel, AMQPClient } from "@cloudamqp/amqp-client";
import type { Names } from "./step.ts";

/** The reply code in an error of the client, else its text. */
export function codeOf(error: unknown): string {
  return /\((\d{3})\)$/.exec(String(error))?.[1] ?? String(error);
}

const NACK = (60 << 16) | 120;

/** The client takes the two bits of basic.nack for one number and so misses "multiple" where the server sets the other one too. */
class Client extends AMQPClient {
  protected override parseFrames(view: Parameters<AMQPClient["parseFrames"]>[0]): void {
    // One whole frame: type, channel and size, the method, a tag of 8 bytes, the bits.
    if (view.getUint8(0) === 1 && view.getUint32(7) === NACK) view.setUint8(19, view.getUint8(19) & 1);
    super.parseFrames(view);
  }
}

/** Two connections for steps and one for questions. Runs on one of these go one after the other; several of these go side by side. */
export class RealServer implements AsyncDisposable {
  readonly #url: string;
  readonly #clients: (AMQPClient | undefined)[] = [];
  readonly #askers: Map<number, Promise<AMQPChannel>> = new Map<number, Promise<AMQPChannel>>();
  #control: Promise<AMQPClient> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  async client(connection: number): Promise<AMQPClient> {
    const standing = this.#clients[connection];
    if (standing !== undefined && !standing.closed) return standing;
    const client = await this.#connect();
    this.#clients[connection] = client;
    return client;
  }

  async closeClient(connection: number): Promise<void> {
    const client = this.#clients[connection];
    this.#forget(connection);
    await client?.close().catch(() => {});
  }

  /** Breaks the socket without a word. */
  dropClient(connection: number): void {
    const socket = this.#clients[connection]?.socket;
    this.#forget(connection);
    socket?.destroy();
  }

  /** Ready messages and consumers of each queue, asked by its owner. */
  async counts(
    queues: readonly (readonly [string, number | undefined])[],
  ): Promise<Readonly<Record<string, string>>> {
    const asked = queues.map(async ([queue, owner]) => [queue, await this.#count(queue, owner)] as const);
    return Object.fromEntries(await Promise.all(asked));
  }

  /** Deletes what a run may have left; what belongs to a connection goes with a deletion of its own. */
  async clean(names: Names, owners: readonly (readonly [string, number | undefined])[]): Promise<void> {
    const own = owners.filter(([, owner]) => owner !== undefined);
    await Promise.all(own.map(async ([queue, owner]) => (await this.#asking(owner)).queueDelete(queue)))
      .catch(() => {});
    const control = await this.#asking(undefined);
    await Promise.all([
      ...names.queues.map((queue) => control.queueDelete(queue)),
      ...names.exchanges.map((exchange) => control.exchangeDelete(exchange)),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const control = await this.#control?.catch(() => undefined);
    await Promise.all(
      [...this.#clients, control].map(async (client) => await client?.close().catch(() => {})),
    );
  }

  #forget(connection: number): void {
    this.#clients[connection] = undefined;
    this.#askers.delete(connection);
  }

  async #connect(): Promise<AMQPClient> {
    const client = new Client(this.#url);
    // Errors are looked at where they are asked for.
    client.onerror = () => {};
    client.logger = undefined;
    const connected = client.connect();
    // A short frame would wait for the answer to the one before it.
    client.socket?.setNoDelay(true);
    await connected;
    return client;
  }

  async #count(queue: string, owner: number | undefined): Promise<string> {
    try {
      const { messageCount, consumerCount } = await (await this.#asking(owner)).queueDeclare(queue, {
        passive: true,
      });
      return `${messageCount}/${consumerCount}`;
    } catch (error) {
      return `error ${codeOf(error)}`;
    }
  }

  /** A channel for questions, on a connection of its own or on one of the run's. */
  #asking(connection: number | undefined): Promise<AMQPChannel> {
    const before = this.#askers.get(connection ?? -1);
    const asked = (async () => {
      const standing = await before?.catch(() => undefined);
      return standing === undefined || standing.closed ? await this.#ask(connection) : standing;
    })();
    this.#askers.set(connection ?? -1, asked);
    return asked;
  }

  async #ask(connection: number | undefined): Promise<AMQPChannel> {
    const client = connection === undefined
      ? await (this.#control ??= this.#connect())
      : await this.client(connection);
    const channel = await client.channel();
    channel.onerror = () => {};
    return channel;
  }
}
