/**
 * The connections to one Redis: one that all requests share, and one for each transaction or subscription.
 *
 * @module
 */
import type { RedisTarget } from "../../adapters/redis/url.ts";
import type { Clock } from "../lib/port.ts";
import type { Command } from "./command.ts";
import { Refusal } from "./fault.ts";
import { Line, newClient } from "./line.ts";
import type { Limits } from "./options.ts";
import { Places } from "./places.ts";
import type { Reply } from "./reply.ts";

/** What of the gateway's limits a link keeps to. */
type LinkLimits = Pick<Limits, "commandTimeout" | "maxTransactions">;

const CLOSED = "ERR the gateway is closed";

/** One Redis. */
export class Link {
  readonly #target: RedisTarget;
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #places: Places;
  readonly #lines: Set<Line> = new Set();
  #shared: Promise<Line> | undefined;
  #closed = false;

  /** @param limits `commandTimeout` is for connecting and for running commands */
  constructor(target: RedisTarget, clock: Clock, { commandTimeout, maxTransactions }: LinkLimits) {
    this.#target = target;
    this.#clock = clock;
    this.#timeout = commandTimeout;
    this.#places = new Places(maxTransactions);
  }

  /** Runs the commands, in this order, on the connection that all share. */
  async run(commands: readonly Command[]): Promise<readonly Reply[]> {
    const line = await this.#sharedLine();
    if (line.open) return await this.#bounded(line, commands);
    this.release(line);
    return await this.#bounded(await this.#sharedLine(), commands);
  }

  /** Runs the commands as one transaction on a connection of its own: their replies, or the error that discarded all. */
  async transact(commands: readonly Command[]): Promise<readonly Reply[] | Error> {
    if (!await this.#places.take(this.#clock, this.#timeout)) {
      throw new Refusal(503, "ERR max transactions exceeded");
    }
    try {
      return await this.#transact(commands);
    } finally {
      this.#places.leave();
    }
  }

  async #transact(commands: readonly Command[]): Promise<readonly Reply[] | Error> {
    const line = await this.open();
    try {
      const replies = await this.#bounded(line, [
        { name: "MULTI", args: [] },
        ...commands,
        { name: "EXEC", args: [] },
      ]);
      const last = replies.at(-1) ?? null;
      if (last instanceof Error) return replies.find((reply) => reply instanceof Error) ?? last;
      return Array.isArray(last) ? last as readonly Reply[] : [];
    } finally {
      this.release(line);
    }
  }

  /** Opens a connection that is the caller's own until `release`; `ended` is called when it is no more, for whatever reason. */
  async open(ended: () => void = () => {}): Promise<Line> {
    const redis = await newClient(this.#target);
    const line = new Line(redis, () => {
      this.#lines.delete(line);
      ended();
    });
    this.#lines.add(line);
    try {
      // Closed while files were read.
      if (this.#closed) throw new Refusal(503, CLOSED);
      await this.#within(line.redis.connect(), line);
      return line;
    } catch (error) {
      this.release(line);
      if (error instanceof Refusal) throw error;
      throw new Refusal(502, "ERR the gateway cannot reach its Redis");
    }
  }

  /** Closes a connection of `open`. Idempotent. */
  release(line: Line): void {
    line.close();
  }

  /** Cuts all connections; no more are opened. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#shared = undefined;
    for (const line of this.#lines) this.release(line);
  }

  #sharedLine(): Promise<Line> {
    if (this.#shared !== undefined) return this.#shared;
    const forget = (): void => {
      if (this.#shared === opening) this.#shared = undefined;
    };
    const opening = this.open(forget);
    opening.catch(forget);
    this.#shared = opening;
    return opening;
  }

  async #bounded(line: Line, commands: readonly Command[]): Promise<readonly Reply[]> {
    try {
      return await this.#within(line.send(commands), line);
    } catch (error) {
      // Whoever comes next opens another one, even before this one's end is told.
      this.release(line);
      if (error instanceof Refusal) throw error;
      throw new Refusal(502, "ERR the gateway lost its Redis: whether the command was executed is not known");
    }
  }

  /** Cuts the line when Redis stays silent: what it would answer later belongs to nobody. */
  async #within<T>(work: Promise<T>, line: Line): Promise<T> {
    let late!: (refusal: Refusal) => void;
    const lateness = new Promise<never>((_resolve, reject) => late = reject);
    const timer = this.#clock.after(this.#timeout, () => {
      late(
        new Refusal(
          504,
          "ERR the gateway's Redis did not answer in time: whether the command was executed is not known",
        ),
      );
      this.release(line);
    });
    try {
      return await Promise.race([work, lateness]);
    } finally {
      timer.cancel();
    }
  }
}
