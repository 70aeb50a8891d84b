/**
 * The publishing link: what is sent, what was confirmed, and what nobody knows.
 *
 * @module
 */
import type { Call, Outgoing, Verdict } from "../../src/broker.ts";
import type { CeleriacError } from "../../src/errors.ts";
import { type Deferred, deferred } from "../../src/lib/deferred.ts";
import type { Clock, Timer } from "../../src/lib/port.ts";
import { copyMessage } from "./message.ts";
import type { Publish } from "./rabbit/command.ts";
import type { Confirm, Return } from "./rabbit/event.ts";
import { FakeUnsupported } from "./rabbit/fault.ts";
import { demandKnown } from "./rabbit/methods/publish.ts";
import type { ClientChannel, Session } from "./session.ts";

const CONFIRMED: Verdict = { is: "confirmed" };
const UNROUTABLE: Verdict = { is: "unroutable" };

function refused(reason: string, retry: boolean): Verdict {
  return { is: "refused", reason, retry };
}

function unknown(reason: string): Verdict {
  return { is: "unknown", reason };
}

/** One call of `publish`. */
class Batch {
  readonly verdicts: (Verdict | undefined)[];
  readonly done: Deferred<readonly Verdict[]> = deferred<readonly Verdict[]>();
  timer: Timer | undefined;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
  #left: number;

  constructor(size: number) {
    this.verdicts = new Array<Verdict | undefined>(size).fill(undefined);
    this.#left = size;
  }

  /** The first verdict on a message stands. */
  settle(index: number, verdict: Verdict): void {
    if (this.verdicts[index] !== undefined) return;
    this.verdicts[index] = verdict;
    if (--this.#left > 0) return;
    this.timer?.cancel();
    if (this.onAbort !== undefined) this.signal?.removeEventListener("abort", this.onAbort);
    this.done.resolve(this.verdicts as readonly Verdict[]);
  }

  /** Waits no longer. */
  abandon(reason: string): void {
    for (let index = 0; index < this.verdicts.length; index++) this.settle(index, unknown(reason));
  }
}

interface Pending {
  readonly batch: Batch;
  readonly index: number;
  readonly outgoing: Outgoing;
  /** The copy that went out, by which a return is known again. */
  readonly command: Publish;
  returned: boolean;
}

/** Publishes on a link of its own. */
export class Publisher {
  readonly #clock: Clock;
  readonly #maxMessage: number;
  readonly #open: () => Session;
  readonly #drift: () => number;
  /** By the number of the publish on its channel, lowest first. */
  #pending: Map<number, Pending> = new Map<number, Pending>();
  #channel: ClientChannel | undefined;
  #published = 0;

  /** `maxMessage` in bytes; `open` gives the link, a new one after a loss; `drift` how far the server's clock is ahead, ms. */
  constructor(clock: Clock, maxMessage: number, open: () => Session, drift: () => number) {
    this.#clock = clock;
    this.#maxMessage = maxMessage;
    this.#open = open;
    this.#drift = drift;
  }

  /** Whether the server has confirmed all that was sent. */
  get isIdle(): boolean {
    return this.#pending.size === 0;
  }

  publish(batch: readonly Outgoing[], { signal, deadline }: Call = {}): Promise<readonly Verdict[]> {
    const clock = this.#clock;
    const late = signal?.aborted === true || (deadline !== undefined && deadline <= clock.now());
    if (late) return Promise.resolve(batch.map(() => refused("given up before it was sent", true)));
    const call = new Batch(batch.length);
    if (batch.length === 0) call.done.resolve([]);
    for (const [index, outgoing] of batch.entries()) {
      const reason = this.#flaw(outgoing);
      if (reason === undefined) this.#send(call, index, outgoing);
      else call.settle(index, refused(reason, false));
    }
    if (!call.verdicts.includes(undefined)) return call.done.promise;
    if (deadline !== undefined) {
      call.timer = clock.after(deadline - clock.now(), () => call.abandon("no answer by the deadline"));
    }
    if (signal !== undefined) {
      call.signal = signal;
      call.onAbort = () => call.abandon("aborted before an answer came");
      signal.addEventListener("abort", call.onAbort, { once: true });
    }
    return call.done.promise;
  }

  /** What the client can tell by itself: a channel is not risked for it. */
  #flaw({ message }: Outgoing): string | undefined {
    const maxMessage = this.#maxMessage;
    const size = message.body.byteLength;
    if (size > maxMessage) return `a body of ${size} bytes is over the limit of ${maxMessage}`;
    try {
      demandKnown(message);
    } catch (error) {
      if (error instanceof FakeUnsupported) return error.message;
    }
    return undefined;
  }

  #send(batch: Batch, index: number, outgoing: Outgoing): void {
    const channel = this.#ready();
    const { to, mustRoute, notBefore, message } = outgoing;
    const command: Publish = {
      do: "basic.publish",
      connection: channel.connection,
      channel: channel.id,
      exchange: to.exchange,
      routingKey: to.routingKey,
      mandatory: mustRoute,
      message: copyMessage(message),
      // What waits at a server waits for a time, not until an instant of ours.
      ...(notBefore === undefined ? {} : { notBefore: notBefore + this.#drift() }),
    };
    this.#pending.set(++this.#published, { batch, index, outgoing, command, returned: false });
    channel.post(command);
  }

  #ready(): ClientChannel {
    if (this.#channel !== undefined && this.#channel.gone === undefined) return this.#channel;
    const session = this.#open();
    this.#published = 0;
    this.#pending = new Map<number, Pending>();
    const pending = this.#pending;
    const channel = session.channel({
      onConfirm: (event) => this.#confirm(event),
      onReturn: (event) => this.#return(event),
      onClosed: (error) => this.#closed(error, pending, session),
    });
    this.#channel = channel;
    channel.ask({ do: "confirm.select" }).catch(() => undefined);
    return channel;
  }

  #confirm({ is, deliveryTag, multiple }: Confirm): void {
    if (!multiple) return this.#conclude(deliveryTag, is);
    for (const number of this.#pending.keys()) {
      if (number > deliveryTag) break;
      this.#conclude(number, is);
    }
  }

  #conclude(number: number, is: Confirm["is"]): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    const good = pending.returned ? UNROUTABLE : CONFIRMED;
    pending.batch.settle(
      pending.index,
      is === "basic.ack" ? good : refused("the broker refused it (nack)", true),
    );
  }

  #return({ message }: Return): void {
    for (const pending of this.#pending.values()) {
      if (pending.command.message !== message) continue;
      pending.returned = true;
      return;
    }
  }

  /**
   * The server works through a channel in order and confirms at once, so that the oldest pending publish is the one it closed the channel
   * for, and it did not hear those behind: they go out again. On a lost link nobody knows.
   */
  #closed(error: CeleriacError, pending: Map<number, Pending>, session: Session): void {
    const [culprit, ...unheard] = pending.values();
    pending.clear();
    if (!session.alive || error.code === "broker-lost") {
      for (const one of [culprit, ...unheard]) one?.batch.settle(one.index, unknown(error.message));
      return;
    }
    culprit?.batch.settle(culprit.index, refused(error.message, false));
    for (const { batch, index, outgoing } of unheard) {
      if (batch.verdicts[index] === undefined) this.#send(batch, index, outgoing);
    }
  }
}
