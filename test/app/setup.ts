/**
 * An app on a broker that does what the test says, with time, ids and log lines in the test's hand.
 *
 * @module
 */
import { Celery } from "../../mod.ts";
import type { CeleryOptions, Logger, LogLevel, Message, Outgoing, Platform, Verdict } from "../../mod.ts";
import type { Broker, Call, Entity, PublishOptions } from "../../src/broker.ts";
import { systemPlatform } from "../../src/lib/platform.ts";

/** What the broker was asked, in order. */
export interface Asked {
  readonly batches: {
    readonly messages: readonly Outgoing[];
    readonly call: Call | undefined;
    readonly declare: readonly Entity[] | undefined;
  }[];
  /** What came with a publish, whether it was then sent or not. */
  readonly declared: (readonly Entity[])[];
  closed: number;
}

/** How the broker answers. */
export interface Answers {
  publish?(batch: readonly Outgoing[], call: Call | undefined, turn: number): Promise<readonly Verdict[]>;
  declare?(entities: readonly Entity[]): Promise<void>;
  readonly maxMessage?: number;
  readonly link?: "shared" | "call";
}

/** A broker that only publishes. */
export function stubBroker(answers: Answers = {}): { readonly broker: Broker; readonly asked: Asked } {
  const asked: Asked = { batches: [], declared: [], closed: 0 };
  const confirm = (batch: readonly Outgoing[]): readonly Verdict[] => batch.map(() => ({ is: "confirmed" }));
  const broker = {
    transport: "stub",
    address: "stub://",
    features: { link: answers.link ?? "shared", maxMessage: answers.maxMessage ?? 2 ** 27 },
    connect: () => Promise.resolve(),
    publish(messages: readonly Outgoing[], { declare = [], ...call }: PublishOptions = {}) {
      const send = (): Promise<readonly Verdict[]> => {
        const turn = asked.batches.push({ messages, call, declare });
        return answers.publish?.(messages, call, turn) ?? Promise.resolve(confirm(messages));
      };
      if (declare.length === 0) return send();
      asked.declared.push(declare);
      return answers.declare === undefined ? send() : answers.declare(declare).then(send);
    },
    observe: () => ({ [Symbol.dispose]() {} }),
    close() {
      asked.closed++;
      return Promise.resolve();
    },
  };
  return { broker: broker as unknown as Broker, asked };
}

/** Time that stands until the test moves it. Microtasks are real. */
export class HandClock {
  time = Date.UTC(2026, 10, 22, 6, 0, 0);
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  elapsed(): number {
    return this.time;
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const timer = { at: this.time + ms, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((each) => each !== timer)) };
  }

  soon(run: () => void): void {
    queueMicrotask(run);
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** Moves time, running what falls due in its order, with what that starts. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.time = next.at;
      this.#timers = this.#timers.filter((each) => each !== next);
      next.run();
      await settled();
    }
    this.time = end;
    await settled();
  }
}

/** Lets all that needs no timer happen. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** One log line. */
export interface Line {
  readonly level: LogLevel;
  readonly message: string;
}

/** A fresh app and all that it touches. */
export function setup(options: CeleryOptions & { readonly answers?: Answers } = {}): {
  readonly app: Celery;
  readonly asked: Asked;
  readonly broker: Broker;
  readonly clock: HandClock;
  readonly lines: Line[];
  readonly drawn: string[];
  readonly platform: Platform;
} {
  const { answers, ...rest } = options;
  const { broker, asked } = stubBroker(answers);
  const clock = new HandClock();
  const lines: Line[] = [];
  const drawn: string[] = [];
  const platform: Platform = {
    ...systemPlatform,
    clock,
    ids: {
      uuid() {
        const id = `00000000-0000-4000-8000-${String(drawn.length + 1).padStart(12, "0")}`;
        drawn.push(id);
        return id;
      },
    },
    host: { ...systemPlatform.host, hostname: "host", pid: 7 },
  };
  const logger: Logger = { log: (level, message) => void lines.push({ level, message }) };
  const app = new Celery("test", { broker, platform, logger, ...rest });
  return { app, asked, broker, clock, lines, drawn, platform };
}

/** The messages that were published, in order. */
export function messages(asked: Asked): Message[] {
  return asked.batches.flatMap((batch) => batch.messages.map(({ message }) => message));
}

/** The body as text. */
export function bodyText(message: Message | undefined): string {
  return new TextDecoder().decode(message?.body);
}

/** What a promise rejects with; throws where it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { readonly code?: string };
  }
  throw new Error("it did not fail");
}

/** What a function throws; throws where it does not. */
export function thrownBy(work: () => unknown): Error & { readonly code?: string } {
  try {
    work();
  } catch (error) {
    return error as Error & { readonly code?: string };
  }
  throw new Error("it did not throw");
}
