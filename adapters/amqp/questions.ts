/**
 * What a broker asks of the server beside sending and consuming, each question with a deadline.
 *
 * @module
 */
import type { AMQPChannel } from "@cloudamqp/amqp-client";
import type { Call } from "../../src/broker.ts";
import { passing } from "./connect.ts";
import { Control } from "./control.ts";
import type { Epoch } from "./epoch.ts";
import { demandTime, within } from "./limit.ts";
import type { Link } from "./link.ts";
import type { Roads } from "./roads.ts";

/** Asks on a broker's two connections, or where each call has one of its own, on that. */
export class Questions {
  readonly #roads: Roads;
  readonly #publishing: Link;
  readonly #consuming: Link;
  readonly #controls: WeakMap<Link, Control> = new WeakMap();

  constructor(roads: Roads, publishing: Link, consuming: Link) {
    this.#roads = roads;
    this.#publishing = publishing;
    this.#consuming = consuming;
  }

  /** A question's link: the consuming one where it is wanted, as an alarm never blocks it. */
  get link(): Link {
    return this.#consuming.wanted ? this.#consuming : this.#publishing;
  }

  /** Asks on a channel that an error of ours closes for nobody else. */
  put<T>(what: string, question: (channel: AMQPChannel) => Promise<T>): Promise<T> {
    return this.#roads.settings.link === "call"
      ? this.pass({}, what, question)
      : this.ask(this.link, {}, what, (epoch, control) => control.ask(epoch, question));
  }

  /** Asks over a connection for this question alone. */
  async pass<T>(call: Call, what: string, question: (channel: AMQPChannel) => Promise<T>): Promise<T> {
    const limited = this.#limited(call);
    demandTime(limited, this.#roads.settings.platform.clock, what);
    return await passing(this.#roads, limited.deadline, (opening) => {
      const answer = opening.then(async (epoch) => {
        let answered: T | undefined;
        await epoch.channel(() => {}, async (channel) => answered = await question(channel));
        return answered as T;
      });
      return within(answer, limited, this.#roads.settings.platform.clock, what);
    });
  }

  /** Asks over this connection. */
  async ask<T>(
    link: Link,
    call: Call,
    what: string,
    question: (epoch: Epoch, control: Control) => Promise<T>,
  ): Promise<T> {
    const limited = this.#limited(call);
    const { clock } = this.#roads.settings.platform;
    demandTime(limited, clock, what);
    const epoch = await link.open(limited);
    return await within(question(epoch, this.control(link)), limited, clock, what);
  }

  /** The channel of this connection on which it is asked. */
  control(link: Link): Control {
    let control = this.#controls.get(link);
    if (control === undefined) this.#controls.set(link, control = new Control());
    return control;
  }

  #limited(call: Call): Call & { readonly deadline: number } {
    const { platform: { clock }, publishTimeout } = this.#roads.settings;
    return { deadline: clock.now() + publishTimeout, ...call };
  }
}
