/**
 * The sending half of kombu's Redis transport over a connection: scripts that bind and publish, each of which may be sent again.
 *
 * @module
 */
import type { Call, Entity, Outgoing, PublishOptions, Verdict } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { Clock, Ids } from "../../src/lib/port.ts";
import { Recent } from "../../src/lib/recent.ts";
import type { Commands } from "./client.ts";
import { fault, isClosed, isPassingFault, isRefusal, late, refusal, type Subject } from "./fault.ts";
import { argsOf, bind, pack, type Packed, type Packer, verdictsOf } from "./packer.ts";
import { PUBLISH_MESSAGES, PUBLISH_SHA } from "./publish-script.ts";
import { checkEntities, isToReserved, reservedReason } from "./reserved.ts";
import { runScript, type Script } from "./scripts.ts";

const PUBLISH: Script = { text: PUBLISH_MESSAGES, sha: PUBLISH_SHA };

/** Messages and characters of one script: it blocks the server while it runs. */
const CHUNK = { most: 200, heaviest: 1024 * 1024 };

/** How long an outcome is remembered after the deadline, ms: what was on its way in a connection that we gave up has arrived by then. */
const MEMORY = 10_000;

/** So many outcomes are forgotten in one go: each was answered, and is never asked for again. */
const ANSWERED = 100;

interface Binding {
  readonly set: string;
  readonly member: string;
  /** As far as we know. */
  stands: boolean;
  /** The server refused it: it is asked for by those calls alone that name it, and has no others refused with it. */
  refused: boolean;
}

/** What a full or failing server says of any write. */
const OF_ANY = /OOM|MISCONF|NOREPLICAS/;

/** What it stands on. */
export interface PublisherParts {
  readonly commands: Commands;
  readonly packer: Packer;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly subject: Subject;
  /** Where a call says nothing, ms. */
  readonly publishTimeout: number;
}

/** See the module. */
export class RedisPublisher {
  readonly #parts: PublisherParts;
  /** By set and member. What came with a message is not kept: any message may name a queue. */
  readonly #bindings: Recent<Binding> = new Recent();
  /** Whether one of them may not stand. */
  #isInDoubt = false;
  /** Keys of outcomes that may go. */
  #answered: string[] = [];
  readonly #under: Set<Promise<unknown>> = new Set();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  async publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const { clock, packer, publishTimeout } = this.#parts;
    const { declare = [], deadline = clock.now() + publishTimeout, signal } = options;
    const call = { deadline, ...(signal && { signal }) };
    if (batch.length === 0) {
      // There is no verdict that could tell.
      await this.#declare(declare, call, false);
      return [];
    }
    // As `declare` would.
    if (declare.length > 0) signal?.throwIfAborted();
    checkEntities(declare);
    const own = this.#remember(bind(packer, declare), false);
    const packed = batch.map((outgoing) =>
      isToReserved(outgoing) ? reservedReason(outgoing.to.routingKey) : pack(packer, outgoing)
    );
    const parts: Promise<Verdict[]>[] = [];
    for (let at = 0; at < batch.length;) {
      const end = endOf(packed, at);
      parts.push(this.#kept(this.#send(batch.slice(at, end), packed.slice(at, end), own, call)));
      at = end;
    }
    return (await Promise.all(parts)).flat();
  }

  /** Declares these bindings, and all earlier ones that may not stand and were not refused. */
  declare(entities: readonly Entity[], call: Call = {}): Promise<void> {
    return this.#declare(entities, call, true);
  }

  async #declare(entities: readonly Entity[], call: Call, kept: boolean): Promise<void> {
    const { clock, packer, publishTimeout, subject } = this.#parts;
    call.signal?.throwIfAborted();
    if (call.deadline !== undefined && call.deadline <= clock.now()) throw late("declaring", 0, subject);
    checkEntities(entities);
    const missing = this.#missing(this.#remember(bind(packer, entities), kept));
    if (missing.length === 0) return;
    const options = { deadline: clock.now() + publishTimeout, ...call };
    try {
      const refused = (await this.#kept(this.#add(missing, options))).find((answer) =>
        answer instanceof Error
      );
      if (refused !== undefined) throw fault(refused, subject);
    } catch (error) {
      this.#isInDoubt ||= missing.some(isHoped);
      throw error;
    }
  }

  /** Adds each for itself, and notes what became of it. */
  async #add(bindings: readonly Binding[], call: Call): Promise<readonly unknown[]> {
    const commands = bindings.map(({ set, member }) => ["sadd", set, member] as const);
    const answers = await this.#parts.commands.run(commands, { ...call, repeatable: true });
    for (const [at, answer] of answers.entries()) refuse(bindings.slice(at, at + 1), answer);
    this.#stand(bindings.filter((_one, at) => !(answers[at] instanceof Error)));
    return answers;
  }

  /** What was declared may be gone: it is declared again, with the next call. */
  doubt(): void {
    for (const binding of this.#bindings.values) binding.stands = false;
    this.#isInDoubt = true;
  }

  /** Resolves when nothing is on its way and nothing of it is remembered on the server any more. */
  async idle(): Promise<void> {
    while (this.#under.size > 0) await Promise.allSettled(this.#under);
    if (this.#answered.length > 0) await this.#forgetAll();
  }

  async #send(
    batch: readonly Outgoing[],
    packed: readonly Packed[],
    own: readonly Binding[],
    call: Call,
    again = false,
  ): Promise<Verdict[]> {
    const { clock, commands, ids, packer, subject } = this.#parts;
    const now = clock.now();
    const { deadline = now, signal } = call;
    const trail = { attempts: 0 };
    const missing = this.#missing(own);
    const id = `${packer.prefix}celeriac:pub:${ids.uuid()}`;
    const over = signal?.aborted ? "the call was aborted" : deadline <= now ? "its time was over" : "";
    if (over !== "") {
      this.#isInDoubt ||= missing.length > 0;
      return verdictsOf(batch, packed, "", () => notSent(`${over} before it was sent`));
    }
    let answer: unknown;
    try {
      const args = argsOf(
        packer,
        missing.flatMap(({ set, member }) => [set, member]),
        packed,
        deadline - now + MEMORY,
      );
      const options = { ...call, repeatable: true, trail };
      answer = await runScript(commands, PUBLISH, [id], args, options);
    } catch (error) {
      // What the server refused as a whole stored nothing, but an earlier attempt without an answer may have.
      const certain = trail.attempts === 0 || (isRefusal(error) && trail.attempts === 1);
      const others = missing.filter((binding) => !own.includes(binding));
      if (others.length > 0 && isOfSome(error) && !again) {
        // It may be one of those that is refused, which is no affair of this call.
        await this.#add(others, call).catch(() => {});
        if (certain) return await this.#send(batch, packed, own, call, true);
      } else refuse(own, error);
      this.#isInDoubt ||= missing.some(isHoped);
      if (error instanceof ConfigurationError) throw error;
      const verdict = certain ? refusedOf(error, subject) : unknown(reasonOf(error, subject));
      return verdictsOf(batch, packed, "", () => verdict);
    }
    this.#stand(missing);
    // Where it was sent more than once, an earlier one may still be on its way: its outcome is remembered until that is over.
    if (trail.attempts === 1) this.#forget(id);
    return verdictsOf(batch, packed, answer, (line) => {
      const said = refusal(line.slice(1));
      return line[0] === "!" ? refusedOf(said, subject) : unknown(reasonOf(said, subject));
    });
  }

  /** The link goes now: what is remembered on the server expires by itself. */
  letGo(): void {
    this.#answered = [];
  }

  #forget(id: string): void {
    if (this.#answered.push(id) >= ANSWERED) void this.#forgetAll();
  }

  async #forgetAll(): Promise<void> {
    try {
      await this.#parts.commands.run([["del", ...this.#answered.splice(0)]], { repeatable: true });
    } catch {
      // They expire by themselves.
    }
  }

  #remember(pairs: readonly string[], kept: boolean): readonly Binding[] {
    const bindings: Binding[] = [];
    for (let at = 0; at < pairs.length; at += 2) {
      const [set = "", member = ""] = pairs.slice(at, at + 2);
      const name = `${set}\n${member}`;
      const binding = this.#bindings.get(name) ?? { set, member, stands: false, refused: false };
      this.#bindings[kept ? "keep" : "set"](name, binding);
      bindings.push(binding);
    }
    return bindings;
  }

  /** Of the call's own, and of all where one may not stand. */
  #missing(own: readonly Binding[]): readonly Binding[] {
    const asked = this.#isInDoubt ? new Set([...this.#bindings.values.filter(isHoped), ...own]) : own;
    return [...asked].filter(({ stands }) => !stands);
  }

  #stand(bindings: readonly Binding[]): void {
    for (const binding of bindings) {
      binding.stands = true;
      binding.refused = false;
    }
    if (this.#isInDoubt) this.#isInDoubt = this.#bindings.values.some(isHoped);
  }

  #kept<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => this.#under.delete(done));
    this.#under.add(done);
    return done;
  }
}

/** Whether it is to stand and does not. */
function isHoped({ stands, refused }: Binding): boolean {
  return !stands && !refused;
}

/** Whether the server has something against some of it. */
function isOfSome(answer: unknown): boolean {
  return isRefusal(answer) && !OF_ANY.test(answer.message);
}

/** Notes that the server has something against these, where that is its answer. */
function refuse(bindings: readonly Binding[], answer: unknown): void {
  if (!isOfSome(answer)) return;
  for (const binding of bindings) binding.refused = !binding.stands;
}

/** Where the chunk that begins at `at` ends. */
function endOf(packed: readonly Packed[], at: number): number {
  let weight = 0;
  let end = at;
  while (end < packed.length && end - at < CHUNK.most) {
    const own = packed[end]?.at(-1)?.length ?? 0;
    if (end > at && weight + own > CHUNK.heaviest) break;
    weight += own;
    end++;
  }
  return end;
}

/** Certainly not stored. A repeat may help where the server was not there, or has no room for now. */
function refusedOf(error: unknown, subject: Subject): Verdict {
  const met = fault(error, subject);
  const full = met.message.includes(" refused a command: OOM ");
  const retry = full || isPassingFault(met) || isClosed(met);
  return { is: "refused", reason: reasonOf(met, subject), retry };
}

function notSent(reason: string): Verdict {
  return { is: "refused", reason, retry: true };
}

function unknown(reason: string): Verdict {
  return { is: "unknown", reason };
}

function reasonOf(error: unknown, subject: Subject): string {
  return fault(error, subject).message.replace(/\.$/, "");
}
