/**
 * What a saboteur is: a real broker or backend that breaks one promise.
 *
 * @module
 */
import type { Backend, Facts } from "../../../src/backend.ts";
import type { Broker, Consumer, Delivery, Subscription } from "../../../src/broker.ts";
import type { Edit } from "../../mutants/mutants.ts";

/** The suites that run on real servers, and one on the memory broker, of the tests that none of them has. */
export type SuiteName =
  | "RabbitMQ"
  | "RabbitMQ, a link for each call"
  | "Redis"
  | "Redis over HTTP"
  | "Redis results"
  | "Redis results over HTTP"
  | "memory";

/** What a saboteur knows of the test that it spoils; one for each test. */
export interface World {
  /** How often the network was cut. */
  cuts: number;
  /** Run at each cut, just before it. */
  readonly onCut: (() => void)[];
  /** How often the network was frozen. */
  freezes: number;
  /** How often the server was restarted. */
  restarts: number;
  /** Awaited before each restart. */
  readonly onRestart: (() => Promise<unknown>)[];
  /** For names of its own that outlive a broker object. */
  readonly notes: Map<string, unknown>;
}

/** What stands in place of the adapter's own: all that a part does not name passes through unchanged. */
export interface Twist {
  readonly broker?: (inner: Broker) => Partial<Broker>;
  readonly consumer?: (inner: Consumer, broker: Broker, queues: readonly string[]) => Partial<Consumer>;
  readonly delivery?: (inner: Delivery, consumer: Consumer, broker: Broker) => Partial<Delivery>;
  readonly subscription?: (inner: Subscription, broker: Broker) => Partial<Subscription>;
  readonly backend?: (inner: Backend) => Partial<Backend>;
  readonly facts?: (inner: Facts) => Partial<Facts>;
}

/** One broken promise. */
export interface Saboteur {
  /** What is wrong with it; unique. */
  readonly name: string;
  /** Where it is tried. @default everywhere */
  readonly on?: readonly SuiteName[];
  /** Beginnings of names: each test that begins so and runs there must turn red. */
  readonly reds: readonly string[];
  /** Broken from outside, by a wrapper made anew for each test. */
  readonly twist?: (world: World) => Twist;
  /** Broken from inside, in the adapter's source. */
  readonly edits?: readonly Edit[];
}

/** RabbitMQ, whichever link. */
export const RABBIT: readonly SuiteName[] = ["RabbitMQ", "RabbitMQ, a link for each call"];

/** Redis as a broker, whichever way to it. */
export const REDIS: readonly SuiteName[] = ["Redis", "Redis over HTTP"];
