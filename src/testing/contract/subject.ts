/**
 * What a suite must know of the adapter under test.
 *
 * @module
 */
import type { Backend } from "../../backend.ts";
import type { Broker, BrokerFeatures, Consumer } from "../../broker.ts";

/** How a test may disturb the network between broker object and server. */
export interface LinkFaults {
  /** Breaks every open link, as a router that dies would; new ones may be opened at once. */
  cut(): void | Promise<void>;
  /** From now on nothing passes in either direction, and nobody is told. */
  freeze(): void | Promise<void>;
  /** Ends `freeze`. */
  thaw(): void | Promise<void>;
}

/** What may be done to the server itself. */
export interface ServerFaults {
  /** Ends it in order and starts it again; resolves when it answers. */
  restart(): Promise<void>;
  /** Turns an alarm on or off under which the server takes no messages, where it has one. */
  alarm?(on: boolean): Promise<void>;
}

/** A broker under test. */
export interface BrokerSubject {
  /** A fresh broker object; all of them speak to one and the same server. */
  make(): Broker | Promise<Broker>;
  /** The whole feature record that the adapter is expected to declare. */
  readonly features: BrokerFeatures;
  /**
   * Arguments for the queues that the suite declares, so that they go away by themselves.
   *
   * @default { "x-expires": 120000 }
   */
  readonly queueArguments?: Readonly<Record<string, unknown>>;
  /** Without it the tests of lost links are not part of the run. */
  readonly link?: LinkFaults;
  /** Without it the tests of restarts and alarms are not part of the run: the server must be nobody else's. */
  readonly server?: ServerFaults;
  /** A broker object whose server cannot be reached: nothing answers there, or nothing listens. */
  readonly unreachable?: () => Broker;
  /**
   * Reads what was published, for a broker that only publishes: of the suites topology and publish run then, without what consumes.
   *
   * @default the broker's own `consume`
   */
  readonly consume?: (queues: readonly string[]) => Consumer;
  /**
   * How messages find their queues. kombu's way on Redis is not AMQP's: a queue comes to be with its first message, "*" of a topic takes
   * dots and "#" does not take the dot before it, a fanout message reaches the listeners of the moment instead of queues.
   *
   * @default "amqp"
   */
  readonly routing?: "amqp" | "kombu";
  /**
   * How long an awaited thing may take, ms.
   *
   * @default 10000
   */
  readonly patience?: number;
}

/** A backend under test. */
export interface BackendSubject {
  /** A fresh backend object; all of them speak to one and the same store. */
  make(): Backend | Promise<Backend>;
  /** The whole feature record that the adapter is expected to declare. */
  readonly features: Backend["features"];
  /** Whether it keeps facts. */
  readonly facts: boolean;
  /** Without it the tests of lost links are not part of the run. */
  readonly link?: LinkFaults;
  /** A backend object whose store cannot be reached: nothing answers there, or nothing listens. */
  readonly unreachable?: () => Backend;
  /**
   * The shortest time to live that the store can keep, ms.
   *
   * @default 1000
   */
  readonly shortestTtl?: number;
  /**
   * How long an awaited thing may take, ms.
   *
   * @default 10000
   */
  readonly patience?: number;
}
