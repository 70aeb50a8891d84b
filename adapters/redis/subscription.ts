/**
 * Listening without settling: to channels, as kombu has it for fanout exchanges, or to a private list.
 *
 * @module
 */
import type { BindingEntity, Inbox, Message, Subscription } from "../../src/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import { AsyncQueue } from "../../src/lib/queue.ts";
import type { Feed } from "./client.ts";
import type { LinkCommands } from "./commands.ts";
import { readEnvelope } from "./envelope.ts";
import { bindingKey, bindingMember, fanoutChannel, STEPS } from "./kombu.ts";

/** Where a subscription's keys are. */
export interface Place {
  readonly prefix: string;
  readonly db: number;
}

/** What subscriptions have in common: a stream that ends, and a promise of its beginning. */
abstract class Listening implements Subscription {
  protected readonly messages: AsyncQueue<Message> = new AsyncQueue();
  protected readonly begun: Deferred<void> = deferred();
  #closed: Promise<void> | undefined;

  constructor() {
    this.begun.promise.catch(() => {});
  }

  get ready(): Promise<void> {
    return this.begun.promise;
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.messages[Symbol.asyncIterator]();
  }

  protected get isClosed(): boolean {
    return this.#closed !== undefined || this.messages.ended;
  }

  protected abstract leave(): Promise<void>;

  async #close(): Promise<void> {
    this.messages.end();
    this.begun.reject(
      new ConnectionError("subscription-closed", "The subscription was closed before it was ready."),
    );
    await this.leave();
  }
}

/** The channels of all subscriptions of one broker, over one connection. */
export interface Channels {
  readonly feed: Feed;
  readonly listeners: Set<ChannelSubscription>;
}

/** To a fanout exchange: by a pattern of channels for each key. */
export class ChannelSubscription extends Listening {
  readonly #channels: Channels;
  readonly #patterns: readonly (readonly [pattern: string, takes: RegExp])[];
  readonly #ended: () => void;
  readonly #take: (text: string) => void;

  /** `take` gets the messages where they are not iterated. */
  constructor(
    inbox: Inbox,
    { prefix, db }: Place,
    channels: Channels,
    ended: () => void,
    take?: (text: string) => void,
  ) {
    super();
    this.#take = take ?? ((text) => this.messages.push(readEnvelope(text).message));
    this.#channels = channels;
    this.#ended = ended;
    const { exchange, routingKeys = [""] } = inbox;
    const patterns = new Set(routingKeys.map((routingKey) => {
      const key = globbed(routingKey).replaceAll("\\*", "*").replaceAll("#", "*");
      return globbed(prefix) +
        fanoutChannel({ exchange: globbed(exchange?.name ?? ""), routingKey: key }, db);
    }));
    this.#patterns = [...patterns].map((pattern) => [pattern, takes(pattern)]);
    channels.listeners.add(this);
    for (const pattern of patterns) channels.feed.add(pattern);
  }

  /** One of our patterns was told of a message; where several take its channel, the first one counts. */
  message(pattern: string, text: string, channel: string): void {
    const first = this.#patterns.find(([, regex]) => regex.test(channel));
    if (first?.[0] === pattern) this.#take(text);
  }

  /** Whether what is published now would come. */
  get hears(): boolean {
    return this.#patterns.every(([pattern]) => this.#channels.feed.hears(pattern));
  }

  /** Patterns are heard (again). */
  heard(): void {
    if (this.hears) this.begun.resolve();
  }

  wants(pattern: string): boolean {
    return this.#patterns.some(([own]) => own === pattern);
  }

  protected leave(): Promise<void> {
    const { feed, listeners } = this.#channels;
    listeners.delete(this);
    for (const [pattern] of this.#patterns) {
      if (![...listeners].some((other) => other.wants(pattern))) feed.remove(pattern);
    }
    this.#ended();
    return Promise.resolve();
  }
}

/** The longest that one BRPOP blocks on the server, s. */
const BLOCK = 1;

/** The pause after a failure, ms; the link has its own besides. */
const PAUSE = 100;

/** To a direct or topic exchange, or to none: a list of its own, read over a connection of its own. */
export class ListSubscription extends Listening {
  readonly #commands: LinkCommands;
  readonly #lists: readonly string[];
  readonly #bindings: readonly (readonly [set: string, member: string])[];
  readonly #block: number;
  readonly #pause: (ms: number) => Promise<void>;
  readonly #clean: (commands: readonly (readonly [string, ...string[]])[]) => Promise<void>;
  readonly #ended: () => void;

  constructor(inbox: Inbox, { prefix }: Place, parts: {
    readonly commands: LinkCommands;
    /** Of these commands, ms. */
    readonly commandTimeout: number;
    readonly pause: (ms: number) => Promise<void>;
    /** Runs commands over another connection: that one blocks. */
    readonly clean: (commands: readonly (readonly [string, ...string[]])[]) => Promise<void>;
    readonly ended: () => void;
  }) {
    super();
    const { exchange, queue, routingKeys = [""] } = inbox;
    this.#commands = parts.commands;
    // Half of a command's deadline at the most: an answer in time is an answer.
    this.#block = Math.min(BLOCK, parts.commandTimeout / 2000);
    this.#pause = parts.pause;
    this.#clean = parts.clean;
    this.#ended = parts.ended;
    this.#lists = STEPS.map((step) => prefix + queue + step);
    this.#bindings = exchange === undefined ? [] : routingKeys.map((routingKey) => {
      const binding: BindingEntity = { kind: "binding", exchange: exchange.name, queue, routingKey };
      return [prefix + bindingKey(exchange.name), bindingMember(binding, exchange.type)];
    });
    void this.#listen();
  }

  async #listen(): Promise<void> {
    const bind = this.#bindings.map(([set, member]) => ["sadd", set, member] as const);
    while (!this.isClosed) {
      try {
        // With each look: a server that lost its memory is told again.
        const answers = await this.#commands.run(
          [
            ...bind,
            ...(this.#begunOnce ? [["brpop", ...this.#lists, this.#block] as const] : [["ping"] as const]),
          ],
          { repeatable: false },
        );
        const last = answers.at(-1);
        // It left the server, whatever became of the binding.
        if (Array.isArray(last)) this.messages.push(readEnvelope(String(last[1])).message);
        for (const answer of answers) if (answer instanceof Error) throw answer;
        this.#begunOnce = true;
        this.begun.resolve();
      } catch {
        if (!this.isClosed) await this.#pause(PAUSE);
      }
    }
  }

  #begunOnce = false;

  protected async leave(): Promise<void> {
    await this.#commands.close();
    try {
      await this.#clean([
        ...this.#bindings.map(([set, member]) => ["srem", set, member] as const),
        ["del", ...this.#lists],
      ]);
    } catch {
      // It lies there as kombu's does where its process dies.
    }
    this.#ended();
  }
}

/** The name as a pattern that takes nothing else. */
function globbed(name: string): string {
  return name.replace(/[[\]?*\\^]/g, "\\$&");
}

/** What Redis takes for this pattern, of which only "*" and the backslash mean something. */
function takes(pattern: string): RegExp {
  const source = pattern.replace(
    /\\(.)|(\*)|(.)/gs,
    (_all, marked?: string, star?: string, plain?: string) => {
      if (star !== undefined) return ".*";
      return (marked ?? plain ?? "").replace(/[^\p{L}\p{N}]/u, "\\$&");
    },
  );
  return new RegExp(`^${source}$`, "s");
}
