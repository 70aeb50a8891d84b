/**
 * The keys of what is being worked on: kombu's, which every app on the database shares, and our own, each of which expires.
 *
 * @module
 */
import { writeJson } from "../../../src/protocol/json-writer.ts";
import { STEPS } from "../kombu.ts";

/** Stands before the tag of a message that waits for an instant; then the step of its priority, and the tag that it had. */
const PARKED = "celeriac:park:";

/** Names keys under a `global_keyprefix`. */
export class LeaseKeys {
  readonly prefix: string;
  /** kombu's two: a hash of tags and entries, and a sorted set of tags and instants. */
  readonly unacked: string;
  readonly index: string;
  /** The consumers of ours, and when each was last heard of. */
  readonly fleet: string;

  constructor(prefix = "") {
    this.prefix = prefix;
    this.unacked = `${prefix}unacked`;
    this.index = `${prefix}unacked_index`;
    this.fleet = `${prefix}celeriac:fleet`;
  }

  /** Says that a consumer lives, and how far it claimed. */
  beat(consumer: string): string {
    return `${this.prefix}celeriac:beat:${consumer}`;
  }

  /** Held by the one who sweeps with this visibility timeout, ms. */
  sweep(visibilityTimeout: number): string {
    return `${this.prefix}celeriac:sweep:${visibilityTimeout}`;
  }

  /** The messages of a queue that wait for an instant. What is lost with it is found by its entry, only later. */
  parked(queue: string): string {
    return `${this.prefix}celeriac:parked:${queue}`;
  }

  /** The four lists of a queue, the most urgent first. */
  lists(queue: string): string[] {
    return STEPS.map((step) => this.prefix + queue + step);
  }

  /** One of them. */
  list(queue: string, step: number): string {
    return `${this.prefix}${queue}${STEPS[step] ?? ""}`;
  }
}

/** What stands before the number in a consumer's tags. */
export function stemOf(consumer: string): string {
  return `celeriac:${consumer}:`;
}

/** The tag of a consumer's claim. As text the tags stand in the order of the claims, and so Python's sweep restores them in it. */
export function tagOf(consumer: string, number: number): string {
  return stemOf(consumer) + String(number).padStart(12, "0");
}

/** The tag under which the message waits for an instant. */
export function parkedTag(tag: string, step: number): string {
  return `${PARKED}${step}:${tag}`;
}

/** Whether what has this tag waits for an instant, and is in nobody's hands. */
export function isParked(tag: string): boolean {
  return tag.startsWith(PARKED);
}

/** What stands behind the message in an entry of ours: the exchange "", and the queue as the key. */
export function tailOf(queue: string): string {
  return `,"",${writeJson(queue)}]`;
}
