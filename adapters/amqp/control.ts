/**
 * A channel for questions: declarations, counts, purges. One at a time, so that an error closes nobody else's channel and is blamed on
 * the right question.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Epoch } from "./epoch.ts";

interface Open {
  readonly epoch: Epoch;
  readonly channel: AMQPChannel;
}

/** The control channel of one link; a new one after each error and on each new connection. */
export class Control {
  #tail: Promise<unknown> = Promise.resolve();
  #open: Open | undefined;

  /** Runs `question` once those before it are done. */
  ask<T>(epoch: Epoch, question: (channel: AMQPChannel) => Promise<T>): Promise<T> {
    const answer = this.#tail.then(() => this.#ask(epoch, question));
    this.#tail = answer.catch(() => {});
    return answer;
  }

  async #ask<T>(epoch: Epoch, question: (channel: AMQPChannel) => Promise<T>): Promise<T> {
    if (epoch.lost !== undefined) throw epoch.lost;
    let open = this.#open;
    if (open === undefined || open.epoch !== epoch || open.channel.closed) {
      open = { epoch, channel: await epoch.channel(() => {}) };
      this.#open = open;
    }
    return await epoch.rpc(question(open.channel));
  }
}
