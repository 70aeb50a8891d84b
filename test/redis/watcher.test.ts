import fc from "fast-check";
import { expect, test } from "vitest";
import type { Feed, FeedListener } from "../../adapters/redis/client.ts";
import { Watcher } from "../../adapters/redis/watcher.ts";
import { systemPlatform } from "../../src/lib/platform.ts";
import type { Clock } from "../../src/lib/port.ts";
import { record } from "./setup.ts";

type Op =
  | { readonly op: "watch" | "leave"; readonly id: number }
  | { readonly op: "store"; readonly id: number; readonly status: string; readonly announce: boolean }
  | { readonly op: "step"; readonly pick: number }
  | { readonly op: "cut" | "timer" | "fail" };

interface Pending {
  readonly is: "subscribe" | "reconnect" | "message" | "pong" | "execute" | "answer";
  run(): void;
}

/** What one connection delivers in its order. */
const LINE: Readonly<Record<string, string>> = { message: "feed", pong: "feed", answer: "commands" };

/** One tick of everything that is queued. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Redis, the network and time, each step of which is taken when the test says so. */
class World implements Feed {
  readonly stored: Map<string, string> = new Map();
  readonly seen: Record<string, number> = {};
  pending: Pending[] = [];
  #timers: (() => void)[] = [];
  #wanted: Set<string> = new Set();
  #heard: Set<string> = new Set();
  #up = true;
  #writes = 0;
  #failNext = false;
  #listener: FeedListener | undefined;

  readonly clock: Clock = {
    ...systemPlatform.clock,
    after: (_ms, callback) => {
      this.#timers.push(callback);
      return { cancel: () => this.#timers = this.#timers.filter((one) => one !== callback) };
    },
  };

  get timers(): number {
    return this.#timers.length;
  }

  listen(listener: FeedListener): Feed {
    this.#listener = listener;
    return this;
  }

  add(channel: string): void {
    this.#wanted.add(channel);
    this.#later("subscribe", () => {
      if (!this.#up || !this.#wanted.has(channel)) return;
      this.#heard.add(channel);
      this.#listener?.heard([channel]);
    });
  }

  remove(channel: string): void {
    this.#wanted.delete(channel);
    this.#heard.delete(channel);
  }

  hears(channel: string): boolean {
    return this.#heard.has(channel);
  }

  fence(): Promise<void> {
    return new Promise((resolve) => this.#up ? this.#later("pong", resolve) : resolve());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  cut(): void {
    this.#heard.clear();
    this.#count(this.pending.some(({ is }) => is === "message") ? "cut with messages lost" : "cut");
    const lost = this.pending.filter(({ is }) => is === "pong");
    this.pending = this.pending.filter(({ is }) => is !== "message" && is !== "reconnect" && is !== "pong");
    for (const { run } of lost) run();
    this.#up = false;
    this.#listener?.failed(new Error("cut"));
    this.#later("reconnect", () => {
      this.#up = true;
      this.#heard = new Set(this.#wanted);
      if (this.#wanted.size > 0) this.#listener?.heard([...this.#wanted]);
    });
  }

  fail(): void {
    this.#failNext = true;
  }

  read(ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    return new Promise((resolve, reject) => {
      this.#later("execute", () => {
        if (this.#failNext) {
          this.#failNext = false;
          this.#count("failed read");
          reject(new Error("no answer"));
          return;
        }
        const texts = ids.map((id) => this.stored.get(id));
        this.#later("answer", () => {
          if (ids.some((id, at) => this.stored.get(id) !== texts[at])) this.#count("old answer");
          resolve(texts);
        });
      });
    });
  }

  store(id: string, status: string, announce: boolean): void {
    if (this.stored.get(id)?.includes('"status": "SUCCESS"')) return;
    const { text } = record(id, status, this.#writes++);
    this.stored.set(id, text);
    if (!announce) return this.#count("stored without a message");
    if (!this.#heard.has(id)) return this.#count("message that nobody hears");
    this.#later("message", () => {
      this.#count("message heard");
      this.#listener?.message(id, text);
    });
  }

  /** Takes one of the next possible steps. */
  step(pick: number): boolean {
    const first = new Set<string>();
    const possible = this.pending.filter(({ is }) => {
      const line = LINE[is];
      return line === undefined || (!first.has(line) && first.add(line));
    });
    const chosen = possible[pick % Math.max(1, possible.length)];
    if (chosen === undefined) return false;
    this.pending.splice(this.pending.indexOf(chosen), 1);
    chosen.run();
    return true;
  }

  fire(): void {
    const due = this.#timers.shift();
    if (due === undefined) return;
    this.#count("poll");
    due();
  }

  #later(is: Pending["is"], run: () => void): void {
    this.pending.push({ is, run });
  }

  #count(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1;
  }
}

const id = fc.nat({ max: 1 });
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant("watch" as const), id }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("leave" as const), id }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("store" as const),
      id,
      status: fc.constantFrom("STARTED", "PROGRESS", "PROGRESS", "PROGRESS", "PROGRESS", "SUCCESS"),
      announce: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 12, arbitrary: fc.record({ op: fc.constant("step" as const), pick: fc.nat({ max: 7 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("cut" as const, "timer" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("fail" as const) }) },
);

test("P32: a wait resolves if and only if the result is stored, whatever the order of subscription, message, read and loss", async () => {
  const classes: Record<string, number> = {};
  let resolved = 0;
  let waiting = 0;
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(op, { maxLength: 40, size: "max" }),
      fc.uniqueArray(id),
      fc.boolean(),
      async (ops, early, healthy) => {
        const world = new World();
        const watcher = new Watcher({
          clock: world.clock,
          pollInterval: 1000,
          channel: (taskId) => taskId,
          taskId: (channel) => channel,
          read: (ids) => world.read(ids),
          feed: (listener) => world.listen(listener),
        });
        const waits: { id: string; stop: AbortController; texts: string[]; end: string }[] = [];
        const watch = (taskId: string): void => {
          const wait = { id: taskId, stop: new AbortController(), texts: [] as string[], end: "waiting" };
          waits.push(wait);
          void (async () => {
            try {
              for await (const one of watcher.watch([taskId], { signal: wait.stop.signal })) {
                expect(one.taskId).toBe(taskId);
                wait.texts.push(one.text);
                if (one.status === "SUCCESS") break;
              }
              wait.end = "resolved";
            } catch {
              wait.end = wait.stop.signal.aborted ? "left" : "failed";
            }
          })();
        };
        for (const taskId of early) watch(`task-${taskId}`);
        for (const one of ops) {
          if (one.op === "watch") watch(`task-${one.id}`);
          else if (one.op === "leave") {
            waits.find(({ id, end }) => id === `task-${one.id}` && end === "waiting")?.stop.abort();
          } else if (one.op === "store") world.store(`task-${one.id}`, one.status, one.announce);
          else if (one.op === "step") world.step(one.pick);
          else if (one.op === "cut") world.cut();
          else if (one.op === "timer") world.fire();
          else world.fail();
          await settle();
        }
        // The quiet phase: pub/sub heals or stays dead, reads work, some polls go by.
        if (!healthy) world.cut();
        for (let round = 0; round < 6; round++) {
          for (let steps = 0; steps < 500; steps++) {
            if (!healthy) {
              world.pending = world.pending.filter(({ is }) => is !== "reconnect" && is !== "subscribe");
            }
            if (!world.step(0)) break;
            await settle();
          }
          world.fire();
          await settle();
        }
        const failures = world.seen["failed read"] ?? 0;
        for (const { id, texts, end } of waits) {
          const stored = world.stored.get(id);
          const done = stored?.includes('"status": "SUCCESS"') ?? false;
          if (end === "resolved") {
            expect(texts.at(-1)).toBe(stored);
            expect(done).toBe(true);
            resolved += 1;
          }
          if (end === "failed") {
            expect(failures).toBeGreaterThan(0);
            // Who saw something once is not told of later trouble.
            expect(texts).toEqual([]);
            failed += 1;
          }
          if (end === "waiting") {
            expect(done).toBe(false);
            // The last state that is stored has been seen, too.
            expect(texts.at(-1)).toBe(stored);
            waiting += 1;
          }
          const order = texts.map((text) => (JSON.parse(text) as { result: number }).result);
          order.forEach((write, at) => expect(write).toBeGreaterThan(order[at - 1] ?? -1));
        }
        // A timer runs while somebody waits, and only then.
        expect(
          world.timers > 0 ||
            world.pending.some(({ is }) => is === "execute" || is === "answer" || is === "pong"),
        ).toBe(
          waits.some(({ end }) => end === "waiting"),
        );
        for (const [name, count] of Object.entries(world.seen)) classes[name] = (classes[name] ?? 0) + count;
        await watcher.close(new Error("end") as never);
        await settle();
      },
    ),
    { numRuns: 800 },
  );
  console.log(
    `P32: ${resolved} resolved, ${waiting} rightly waiting, ${failed} failed by a failed read;`,
    classes,
  );
  for (
    const name of [
      "cut",
      "cut with messages lost",
      "failed read",
      "old answer",
      "stored without a message",
      "message heard",
      "poll",
    ]
  ) expect(classes[name], name).toBeGreaterThan(0);
  expect(Math.min(resolved, waiting, failed)).toBeGreaterThan(0);
});
