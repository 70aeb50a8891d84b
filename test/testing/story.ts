/**
 * Histories written by hand: one short call for each thing that happens.
 *
 * @module
 */
import type { Entry, NewEntry } from "../../src/testing/entry.ts";
import { History } from "../../src/testing/history.ts";

type Bare<E> = E extends NewEntry ? Omit<E, "node"> : never;

/** What may be said of a publish. */
interface Said {
  readonly eta?: number;
  readonly expires?: number;
  readonly ttl?: number;
  readonly deadline?: number;
  readonly digest?: number;
  readonly retries?: number;
}

/** Tells what happens, in order. The clock moves by one ms with each entry, and by `wait`. */
export class Story {
  #now = 1000;
  #publishes = 0;
  #deliveries = 0;
  #stores = 0;
  readonly #epochs = new Map<string, number>();
  readonly history: History = new History({ clock: { now: () => this.#now++ } });

  get entries(): readonly Entry[] {
    return this.history.entries;
  }

  add(node: string, entry: Bare<NewEntry>): this {
    this.history.add({ node, ...entry } as NewEntry);
    return this;
  }

  wait(ms: number): this {
    this.#now += ms;
    return this;
  }

  publish(task: string, said: Said = {}): this {
    return this.add("client", {
      is: "published",
      task,
      publish: ++this.#publishes,
      name: "t",
      exchange: "",
      routingKey: "q",
      digest: 1,
      eta: undefined,
      expires: undefined,
      ttl: undefined,
      deadline: undefined,
      ...said,
    });
  }

  verdict(task: string, verdict: "confirmed" | "refused" | "unknown" | "unroutable" | "unsent"): this {
    return this.add("client", { is: "verdict", task, publish: this.#publishes, verdict });
  }

  confirmed(...tasks: string[]): this {
    for (const task of tasks) this.publish(task).verdict(task, "confirmed");
    return this;
  }

  window(node: string, prefetch: number, stands = true): this {
    return this.add(node, { is: "window", consumer: 1, prefetch, stands });
  }

  /** The delivery's number is that of all deliveries before it, plus one. */
  deliver(
    task: string,
    node = "w1",
    more: {
      readonly redelivered?: boolean;
      readonly digest?: number;
      readonly consumer?: number;
      readonly retries?: number;
    } = {},
  ): this {
    return this.add(node, {
      is: "delivered",
      task,
      delivery: ++this.#deliveries,
      consumer: 1,
      queue: "q",
      redelivered: false,
      epoch: this.#epochs.get(node) ?? 0,
      digest: 1,
      ...more,
    });
  }

  lose(task: string, node = "w1", delivery = this.#deliveries): this {
    return this.add(node, { is: "lost", task, delivery });
  }

  accept(task: string, late: boolean, node = "w1", delivery = this.#deliveries): this {
    return this.add(node, { is: "accepted", task, delivery, late });
  }

  start(task: string, late: boolean, node = "w1", delivery = this.#deliveries): this {
    return this.add(node, { is: "started", task, delivery, late });
  }

  end(
    task: string,
    late: boolean,
    node = "w1",
    delivery = this.#deliveries,
    outcome: "success" | "failure" | "retry" = "success",
  ): this {
    return this.add(node, { is: "ended", task, delivery, late, outcome });
  }

  /** Delivered and run up to the end of its function, which asked for a retry; acked before that, or not yet. */
  asks(task: string, late: boolean, retries = 0, node = "w1"): this {
    this.deliver(task, node, retries === 0 ? {} : { retries });
    if (!late) this.settle(task, "ack", "settled", node);
    return this.accept(task, late, node).start(task, late, node)
      .end(task, late, node, this.#deliveries, "retry").store(task, "RETRY", "stored", node);
  }

  /** A worker publishes a retry. */
  retry(
    task: string,
    retries: number,
    verdict: "confirmed" | "refused" | "unknown" | undefined = "confirmed",
    node = "w1",
  ): this {
    const publish = ++this.#publishes;
    this.add(node, {
      is: "published",
      ...{ task, publish, name: "t", exchange: "", routingKey: "q", digest: 1, retries },
      ...{ eta: undefined, expires: undefined, ttl: undefined, deadline: undefined },
    });
    return verdict === undefined ? this : this.add(node, { is: "verdict", task, publish, verdict });
  }

  settling(
    task: string,
    as: "ack" | "reject" | "requeue" = "ack",
    node = "w1",
    delivery = this.#deliveries,
  ): this {
    return this.add(node, { is: "settling", task, delivery, as });
  }

  settled(
    task: string,
    as: "ack" | "reject" | "requeue" = "ack",
    outcome: "settled" | "stale" | "failed" = "settled",
    node = "w1",
    delivery = this.#deliveries,
  ): this {
    return this.add(node, { is: "settled", task, delivery, as, outcome });
  }

  settle(
    task: string,
    as: "ack" | "reject" | "requeue" = "ack",
    outcome: "settled" | "stale" | "failed" = "settled",
    node = "w1",
    delivery = this.#deliveries,
  ): this {
    return this.settling(task, as, node, delivery).settled(task, as, outcome, node, delivery);
  }

  storing(task: string, status = "SUCCESS", node = "w1"): this {
    return this.add(node, { is: "storing", task, store: ++this.#stores, status });
  }

  stored(
    task: string,
    status = "SUCCESS",
    outcome: "stored" | "kept" | "failed" = "stored",
    node = "w1",
    store = this.#stores,
  ): this {
    return this.add(node, { is: "stored", task, store, status, outcome });
  }

  store(
    task: string,
    status = "SUCCESS",
    outcome: "stored" | "kept" | "failed" = "stored",
    node = "w1",
  ): this {
    return this.storing(task, status, node).stored(task, status, outcome, node);
  }

  fault(fault: string, touches: readonly string[] = [], node = "w1", detail = ""): this {
    return this.add(node, { is: "fault", fault, touches, detail });
  }

  worker(state: "started" | "stopped" | "killed", node = "w1"): this {
    return this.add(node, { is: `worker-${state}` });
  }

  link(state: "up" | "down", node = "w1", link: "publish" | "consume" = "consume"): this {
    if (state === "up" && link === "consume") this.#epochs.set(node, (this.#epochs.get(node) ?? 0) + 1);
    return this.add(node, { is: "link", link, state });
  }

  /** A task acked early, from its delivery to its result. */
  early(task: string, node = "w1"): this {
    return this.deliver(task, node).settle(task, "ack", "settled", node).accept(task, false, node)
      .start(task, false, node).end(task, false, node).store(task, "SUCCESS", "stored", node);
  }

  /** A task acked late, from its delivery to its ack. */
  late(task: string, node = "w1", more: { readonly retries?: number } = {}): this {
    return this.deliver(task, node, more).accept(task, true, node).start(task, true, node).end(
      task,
      true,
      node,
    )
      .store(task, "SUCCESS", "stored", node).settle(task, "ack", "settled", node);
  }
}

/** A story with a worker that starts, and what `tell` adds. */
export function story(tell: (story: Story) => void): readonly Entry[] {
  const told = new Story().worker("started").link("up").link("up", "w2").window("w1", 4);
  tell(told);
  return told.entries;
}
