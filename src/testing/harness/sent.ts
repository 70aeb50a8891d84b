/**
 * What was enqueued: the messages that were published, as a test asks for them.
 *
 * @module
 */
import type { AppInner } from "../../app/inner.ts";
import type { Outgoing, Verdict } from "../../broker.ts";
import { CeleriacError } from "../../errors.ts";
import { isCompressed, openContent } from "../../protocol/content.ts";
import { readTask, type TaskRequest } from "../../protocol/task.ts";

/** One task that was sent, read again from the bytes of its message. */
export interface Enqueued<A extends readonly unknown[] = readonly unknown[]> {
  /** The task's name. */
  readonly task: string;
  /** The id of the call. */
  readonly id: string;
  /** Arguments by position; those of an `input` task as its one object, however they travel. */
  readonly args: A;
  /** Arguments by name. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** The queue that took it, or the first of several; undefined where none did. */
  readonly queue: string | undefined;
  /** AMQP's exchange, "" for the default one. */
  readonly exchange: string;
  /** The key by which it was routed. */
  readonly routingKey: string;
  /** 0 to 255. */
  readonly priority: number;
  /** Not before this instant; undefined for at once. */
  readonly eta: Date | undefined;
  /** Seconds from `sentAt` to `eta`; undefined without one. */
  readonly countdown: number | undefined;
  /** Not after this instant. */
  readonly expires: Date | undefined;
  /** The sender's own headers. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** How often it was retried before. */
  readonly retries: number;
  /** The task that sent it, or null. */
  readonly parentId: string | null;
  /** The first task of all. */
  readonly rootId: string;
  /** The group that it is a part of, or null. */
  readonly groupId: string | null;
  /** When it was sent, in the harness's time. */
  readonly sentAt: Date;
  /** Who sent it: "client", or a worker's name. */
  readonly by: string;
}

/** What is needed to read messages. */
export interface Reading {
  readonly app: AppInner;
  /** The queues that a message for this exchange and key comes into. */
  queues(exchange: string, routingKey: string): readonly string[];
}

/** One message that was published. */
export class Sent {
  readonly #outgoing: Outgoing;
  readonly #reading: Reading;
  readonly #at: number;
  /** Who sent it. */
  readonly by: string;
  #text: string | undefined;
  #read: Enqueued | undefined;
  /** Resolves when a compressed body has been opened; undefined for any other. */
  readonly opened: Promise<void> | undefined;
  /** What the sender was told. */
  verdict: Verdict["is"] | undefined;

  constructor(reading: Reading, outgoing: Outgoing, at: number, by: string) {
    this.#outgoing = outgoing;
    this.#reading = reading;
    this.#at = at;
    this.by = by;
    // What nobody can read was not made by a task's sender: it is no task for a test either.
    if (isCompressed(outgoing.message)) this.opened = this.#open().catch(() => {});
  }

  /** The name of its task, where it is one of protocol 2. */
  get name(): string {
    return String(this.#outgoing.message.headers["task"] ?? "");
  }

  /** Whether it is certain that no queue has it. */
  get isRefused(): boolean {
    return this.verdict === "refused" || this.verdict === "unroutable";
  }

  /** Undefined where it cannot be read as a task. */
  read(): Enqueued | undefined {
    if (this.#read !== undefined) return this.#read;
    try {
      return this.#read = this.#enqueued();
    } catch {
      return undefined;
    }
  }

  async #open(): Promise<void> {
    const { contentLimits: limits } = this.#reading.app.settings;
    this.#text = await openContent(this.#outgoing.message, { accept: ["json"], limits });
  }

  #enqueued(): Enqueued {
    const { app, queues } = this.#reading;
    const { message, to } = this.#outgoing;
    const limits = app.settings.contentLimits;
    this.#text ??= openContent(message, { accept: ["json"], limits }) as string;
    const task = readTask(message, this.#text, { exact: app.exact, limits });
    return {
      task: task.task,
      id: task.id,
      ...argumentsOf(app, task),
      queue: queues(to.exchange, to.routingKey)[0],
      exchange: to.exchange,
      routingKey: to.routingKey,
      priority: task.priority,
      eta: dateOf(task.eta),
      countdown: task.eta === null ? undefined : Math.round(task.eta - this.#at) / 1000,
      expires: dateOf(task.expires),
      headers: task.headers,
      retries: task.retries,
      parentId: task.parentId,
      rootId: task.rootId,
      groupId: task.group,
      sentAt: new Date(this.#at),
      by: this.by,
    };
  }
}

/** An `input` task's object may travel as arguments by name. */
function argumentsOf(app: AppInner, { task, args, kwargs }: TaskRequest): Pick<Enqueued, "args" | "kwargs"> {
  const takesOne = "input" in (app.tasks.get(task)?.options ?? {});
  return takesOne && args.length === 0 ? { args: [kwargs], kwargs } : { args, kwargs };
}

function dateOf(ms: number | null): Date | undefined {
  return ms === null ? undefined : new Date(ms);
}

/** The messages of a harness, the latest ones where there is a bound. */
export class Mailbag {
  readonly #keep: number;
  #sent: Sent[] = [];
  /** How many there ever were. */
  count = 0;

  /** `keep`: how many are kept at most. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** How many are not kept any more. */
  get forgotten(): number {
    return this.count - this.sent.length;
  }

  /** Throws `CeleriacError` "history-incomplete" where some are not kept: that one was not sent can nobody say then. */
  demandWhole(): void {
    if (this.#keep > 0 && this.forgotten === 0) return;
    throw new CeleriacError(
      "history-incomplete",
      this.#keep === 0
        ? "The harness records nothing: what was enqueued is not known."
        : `The harness records ${this.#keep} messages and forgot ${this.forgotten}: none like this is among those kept.`,
      { hint: "Record all of it: createHarness(app, { record: true })." },
    );
  }

  get sent(): readonly Sent[] {
    this.#trim();
    return this.#sent;
  }

  add(sent: Sent): void {
    this.count++;
    this.#sent.push(sent);
    // Twice as many at most: one copy a round, not one a message.
    if (this.#sent.length > 2 * this.#keep) this.#trim();
  }

  #trim(): void {
    if (this.#sent.length > this.#keep) this.#sent = this.#sent.slice(this.#sent.length - this.#keep);
  }
}
