/**
 * The broker CONTRACT: what an adapter promises about messages. It speaks messages, never tasks; behind this door a duration is ms and
 * an instant is ms since the epoch.
 *
 * @module
 */
import type { Message } from "./protocol/message.ts";

/** When to give up: an abort signal, a deadline in ms since the epoch, or both. */
export interface Call {
  /** Aborted: give up. */
  readonly signal?: AbortSignal | undefined;
  /** ms since the epoch. */
  readonly deadline?: number;
}

export type { Message };

/** The kinds of exchange that Celery uses. */
export type ExchangeType = "direct" | "topic" | "fanout";

/** An exchange to declare. */
export interface ExchangeEntity {
  /** Tells entities apart. */
  readonly kind: "exchange";
  /** Its name. */
  readonly name: string;
  /** How it routes. */
  readonly type: ExchangeType;
  /** Whether it survives a restart of the broker. */
  readonly durable: boolean;
  /** Whether it goes with its last binding. */
  readonly autoDelete: boolean;
  /** AMQP's arguments. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** A queue to declare. `arguments` are AMQP's (`x-max-priority`, `x-queue-type`, …); equal ones are demanded by peers (406 otherwise). */
export interface QueueEntity {
  /** Tells entities apart. */
  readonly kind: "queue";
  /** Its name. */
  readonly name: string;
  /** Whether it survives a restart of the broker. */
  readonly durable: boolean;
  /** Whether it belongs to one link. */
  readonly exclusive: boolean;
  /** Whether it goes with its last consumer. */
  readonly autoDelete: boolean;
  /** AMQP's arguments. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** A binding to declare, after its exchange and queue. */
export interface BindingEntity {
  /** Tells entities apart. */
  readonly kind: "binding";
  /** The queue that is bound. */
  readonly queue: string;
  /** The exchange that it is bound to. */
  readonly exchange: string;
  /** The key, or for topic the pattern. */
  readonly routingKey: string;
  /** AMQP's arguments. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** The type of the queues in which messages wait. */
export type DelayQueueType = "classic" | "quorum";

/** A queue that kombu's native delayed delivery leads into. */
export interface DelayWay {
  /** The queue. */
  readonly queue: string;
  /** What it is bound to, which is not direct: the digits of the delay stand before the key. */
  readonly exchange: string;
  /** By which key it is bound. */
  readonly routingKey: string;
}

/** One thing of the topology. */
export type Entity = ExchangeEntity | QueueEntity | BindingEntity;

/** Where a message goes. Exchange "" is AMQP's default exchange: the routing key is then a queue's name. */
export interface Destination {
  /** "" is the default exchange. */
  readonly exchange: string;
  /** The key by which it routes. */
  readonly routingKey: string;
}

/** A message on its way out. */
export interface Outgoing {
  /** What goes out. */
  readonly message: Message;
  /** Where it goes. */
  readonly to: Destination;
  /** Ask for the verdict `unroutable` where no queue takes the message (AMQP `mandatory`). */
  readonly mustRoute: boolean;
  /** Do not deliver before this instant, ms since the epoch. Where the broker has no delay of its own (`delay`) the verdict is `refused`. */
  readonly notBefore?: number;
}

/** What became of one published message. */
export type Verdict =
  /** The broker has it. */
  | { readonly is: "confirmed" }
  /** No queue took it; it is nowhere. */
  | { readonly is: "unroutable" }
  /** Certainly not stored; `retry` says whether a repeat may help. */
  | { readonly is: "refused"; readonly reason: string; readonly retry: boolean }
  /** Nobody knows; a repeat may duplicate. */
  | { readonly is: "unknown"; readonly reason: string };

/** How a delivery ends. */
export type Settlement =
  | { readonly as: "ack" }
  /** Dead-letter where the queue has one, else gone. */
  | { readonly as: "reject" }
  /**
   * Back into its queue; it comes again as `redelivered`. `notBefore` is kept where the broker parks (`park`); elsewhere the message may come
   * again at once.
   */
  | { readonly as: "requeue"; readonly notBefore?: number }
  /**
   * Kept by the broker until then: lease moved, or a copy confirmed and this one acked. May double, never loses. What has waited comes again
   * as `redelivered` only where it had been given out before. Where the broker does not park, not for so long, or takes nothing for now, it
   * throws a coded error, within seconds, and the delivery can still be settled; a copy that is confirmed after that takes its place, and it
   * counts as lost (`onLost`).
   */
  | { readonly as: "park"; readonly until: number };

/** One message handed to us, to be settled exactly once. */
export interface Delivery {
  /** As received, bytes undecoded. */
  readonly message: Message;
  /** The queue it came from: a retry goes back here. */
  readonly queue: string;
  /** How it came. */
  readonly route: { readonly exchange: string; readonly routingKey: string; readonly priority: number };
  /** Whether the broker gave it out before. */
  readonly redelivered: boolean;
  /** The broker's own count of earlier deliveries, where it keeps one. */
  readonly attempts: number | undefined;
  /**
   * Settles once; a second call throws. `settled`: an ack was handed to the link, so that a task that then blocks or kills its process
   * does not take it along. `stale`: the link or lease went away first, nothing was sent, and the broker gives the message out again.
   * It waits for no answer: what was settled is flushed behind a synchronous reply by `Consumer.stop` and `Broker.close`.
   */
  settle(how: Settlement): Promise<"settled" | "stale">;
  /** Calls `listener` once when the link or lease of this unsettled delivery is lost (at once, if it already is). */
  onLost(listener: () => void): Disposable;
}

/**
 * Deliveries of one or more queues. Survives reconnects; the iteration ends by `stop()` or with the broker's `close()`, or throws on a
 * fatal error only.
 */
export interface Consumer extends AsyncIterable<Delivery> {
  /** The last moment (ms since the epoch) at which a waiting message would have reached us; 0 before the first consume-ok. */
  readonly aliveAt: number;
  /**
   * Takes from this queue too, and resolves when it does, also where the queue was named already. Rejects with a coded error where the broker
   * refuses it, or after `stop()`; the other queues go on.
   */
  add(queue: string): Promise<void>;
  /** Takes from this queue no more. */
  remove(queue: string): Promise<void>;
  /** Per queue; 0 is unlimited; may overlap the old window while it settles. */
  setPrefetch(count: number): Promise<void>;
  /** After it nothing more is yielded; unyielded deliveries are back in their queue; yielded ones can still be settled. */
  stop(): Promise<void>;
}

/**
 * What a subscription listens to: its own private queue, and what is bound to it. Where queues can have an owner, nobody else can read it,
 * and who asks for a queue of another's waits until that one is gone.
 */
export interface Inbox {
  /** The queue's name, as Celery names it (`<node>.celery.pidbox`, `celeryev.<uuid>`, a reply queue). */
  readonly queue: string;
  /** What the queue is bound to; undefined for AMQP's default exchange (the queue's own name is the key). */
  readonly exchange?: { readonly name: string; readonly type: ExchangeType; readonly durable: boolean };
  /** The keys that bind it. @default [""] */
  readonly routingKeys?: readonly string[];
  /** How long an unread message lives, ms. */
  readonly messageTtl?: number;
  /** How long the queue lives without us, ms. */
  readonly expires?: number;
}

/** At most once, unsettled: control, events, replies. What is published while its link is down may be missed; it hears again by itself. */
export interface Subscription extends AsyncIterable<Message> {
  /** Resolves when messages published from now on would arrive; rejects where it was closed before that. */
  readonly ready: Promise<void>;
  /** Ends the iteration and takes the queue away. */
  close(): Promise<void>;
}

/** News of the link. */
export type BrokerEvent =
  | { readonly is: "up"; readonly link: "publish" | "consume" }
  /** `retryIn` ms until the next attempt; undefined when none follows. */
  | {
    readonly is: "down";
    readonly link: "publish" | "consume";
    readonly error: Error;
    readonly retryIn: number | undefined;
  }
  | { readonly is: "blocked"; readonly reason: string }
  | { readonly is: "unblocked" }
  /** Something about the server that will do harm some day. */
  | { readonly is: "warning"; readonly code: string; readonly reason: string }
  | { readonly is: "fatal"; readonly error: Error };

/** What the sending half of a broker can do. */
export interface PublishFeatures {
  /**
   * How long a link lives. "shared": it is opened once and outlives the call. "call": each call opens one of its own and closes it before
   * it settles, so that nothing outlives a request (workerd, HTTP); what must stand before a publish then comes with it (`declare`).
   */
  readonly link: "shared" | "call";
  /** What a confirm proves: on disk, in memory, or nothing. */
  readonly confirm: "durable" | "memory" | "none";
  /** Whether a message that no queue takes is told of. */
  readonly mustRoute: boolean;
  /** Whether what got no answer is sent again until the deadline, and stands there once all the same. */
  readonly resends: boolean;
  /** The kinds of exchange it has. */
  readonly exchanges: readonly ExchangeType[];
  /** Whether a message can wait for its instant (`notBefore`). */
  readonly delay: boolean;
  /** Which number is the most urgent. */
  readonly priority: "high-first" | "low-first" | "none";
  /** Bytes. */
  readonly maxMessage: number;
}

/** What a broker can do. Differences are declared here, never asked by `if (fake)`. */
export interface BrokerFeatures extends PublishFeatures {
  /** Whether messages come by themselves. */
  readonly delivery: "push" | "poll";
  /** Whether `subscribe` works. */
  readonly subscribe: boolean;
  /** Where a requeued message stands. */
  readonly requeue: "publication" | "returns-first" | "back" | "front";
  /** How a message is parked. */
  readonly park: "lease" | "copy" | "none";
  /** The longest park, ms; 0 where there is none. */
  readonly maxPark: number;
  /** What a delivery is lost with. */
  readonly loss: "link" | "lease";
  /** Whether deliveries tell their count. */
  readonly attempts: boolean;
}

/** How a batch is published. */
export interface PublishOptions extends Call {
  /**
   * What must stand before the messages are sent: declared in this order first, over the same link and by the same deadline, where the
   * broker has not declared it before. What `declare` would throw rejects the whole batch, and nothing was sent. Any message may name a
   * queue: of thousands that came so, a broker may forget the oldest, and declares them again when they come again.
   */
  readonly declare?: readonly Entity[];
}

/** The sending half of a broker: all that a producer needs. The constructor does no I/O. */
export interface PublishBroker {
  /** "amqp", "redis", "memory": for logs and the banner. */
  readonly transport: string;
  /** The URL without secrets, for logs and the banner. */
  readonly address: string;
  /** What it can do. */
  readonly features: PublishFeatures;
  /** Same order as `batch`, settled by the deadline at the latest. */
  publish(batch: readonly Outgoing[], options?: PublishOptions): Promise<readonly Verdict[]>;
  /**
   * Waits for what is on its way over shared links, then lets go of them; by its deadline or abort without waiting. Idempotent; the broker
   * may be used again after it.
   */
  close(options?: Call): Promise<void>;
}

/**
 * A broker. The constructor does no I/O: the first call that needs the link opens it. No method throws for the fate of one message.
 */
export interface Broker extends PublishBroker {
  /** What it can do. */
  readonly features: BrokerFeatures;
  /**
   * Opens the links now; rejects with the coded error of the failure, and, as `declare` does, where the call is over before it begins, though
   * there is nothing to do. Optional: other calls connect by themselves.
   */
  connect(options?: Call): Promise<void>;
  /** Declares in the given order; remembered, and repeated after a reconnect. */
  declare(entities: readonly Entity[], options?: Call): Promise<void>;
  /**
   * Declares kombu's native delayed delivery with queues of this type, and its ways into these queues, which must stand; remembered, and
   * repeated after a reconnect. Resolves with false where the broker is to declare nothing, or leads to 1,000 others already. Throws what `declare` throws. Absent where there
   * is no such thing: RabbitMQ alone has it.
   */
  declareDelays?(ways: readonly DelayWay[], type: DelayQueueType, options?: Call): Promise<boolean>;
  /** Competing consumers; each delivery is settled once. `prefetch` is per queue. */
  consume(queues: readonly string[], options: { readonly prefetch: number }): Consumer;
  /** Listens on a private queue, at most once. */
  subscribe(inbox: Inbox): Subscription;
  /** Ready messages in the queue. */
  count(queue: string): Promise<number>;
  /** Empties the queue; the number of messages gone. */
  purge(queue: string): Promise<number>;
  /** Tells of the links from now on. */
  observe(listener: (event: BrokerEvent) => void): Disposable;
  /**
   * Settlements flushed behind a synchronous reply, the rest given back; consumers and subscriptions end. By its deadline or abort it only
   * lets go. Idempotent; the broker may be used again after it.
   */
  close(options?: Call): Promise<void>;
}
