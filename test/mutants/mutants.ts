/**
 * Defects planted on purpose, written from the code that they break and without sight of the checker that must find them.
 *
 * @module
 */

/** A text of a file, and what stands there instead. The text must be there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

/** One defect. */
export interface Mutant {
  readonly name: string;
  /** What goes wrong, in the words of who meets it. */
  readonly does: string;
  readonly edits: readonly Edit[];
}

const PERFORM = "src/worker/perform.ts";
const CONSUMER = "src/worker/consumer.ts";
const HOLD = "src/worker/hold.ts";
const RESULTS = "src/worker/results.ts";
const RETRY = "src/worker/resend.ts";
const ROAD = "src/producer/road.ts";
const PUBLISHER = "adapters/memory/publisher.ts";
const DELIVERY = "adapters/memory/delivery.ts";
const LANES = "adapters/memory/consumer.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "ack before the run under acksLate",
    does: "a worker that dies in the middle of a late task takes it along",
    edits: [{
      file: PERFORM,
      find: "if (!request.acksLate && !await accept(request)) return free(request, slot);",
      put: "if (!await accept(request)) return free(request, slot);",
    }],
  },
  {
    name: "a stale early ack is taken for an ack",
    does: "a task runs here although the broker has taken its message back and gives it to somebody else",
    edits: [{
      file: PERFORM,
      find: "if (!request.acksLate && !await accept(request)) return free(request, slot);",
      put: "if (!request.acksLate) await accept(request);",
    }],
  },
  {
    name: "result stored after the ack",
    does: "a worker that dies between the two leaves a task without a result for ever",
    edits: [{
      file: PERFORM,
      find: "    if (isNews(request) && keeps(request)) await store(request);",
      put: "    settle(request);\n    if (isNews(request) && keeps(request)) await store(request);",
    }],
  },
  {
    name: "the ack does not wait for the store",
    does: "the ack may be there before the result is",
    edits: [{
      file: PERFORM,
      find: "    if (isNews(request) && keeps(request)) await store(request);",
      put: "    if (isNews(request) && keeps(request)) void store(request);",
    }],
  },
  {
    name: "what waits and lost its link runs all the same",
    does: "a held or waiting task runs here, and again where its message comes next",
    edits: [{
      file: CONSUMER,
      find: "      gone = true;\n      this.#leave(request);\n",
      put: "      gone = true;\n",
    }],
  },
  {
    name: "a held task runs twice",
    does: "the end of the hold is told two times",
    edits: [{
      file: HOLD,
      find: "      else if (this.release(request)) due();",
      put:
        "      else if (this.release(request)) {\n        due();\n        this.#env.clock.after(1, due);\n      }",
    }],
  },
  {
    name: "a held task runs before its time",
    does: "the hold ends a second early",
    edits: [{
      file: HOLD,
      find: "const left = until - this.#env.now();",
      put: "const left = until - this.#env.now() - 1000;",
    }],
  },
  {
    name: "unsettled at stop",
    does: "what waits in a worker that stops is neither run nor given back",
    edits: [{
      file: CONSUMER,
      find: '      void request.release({ as: "requeue" });\n    }\n    await ending.work();',
      put: "    }\n    await ending.work();",
    }],
  },
  {
    name: "acked instead of requeued at stop",
    does: "a worker that stops loses what it had not begun",
    edits: [{
      file: CONSUMER,
      find: '      void request.release({ as: "requeue" });\n    }\n    await ending.work();',
      put: '      void request.release({ as: "ack" });\n    }\n    await ending.work();',
    }],
  },
  {
    name: "stop does not wait for what runs",
    does: "run() has ended, and tasks go on behind it",
    edits: [{
      file: CONSUMER,
      find: "    await ending.work();\n",
      put: "",
    }],
  },
  {
    name: "a failed store is not told",
    does: "a result is lost, the task acked, and no line says so",
    edits: [{
      file: RESULTS,
      find: "    this.#tell(record, subject, exceptionRepr(exception), keeps, { error, traceback });\n",
      put: "    void [exception, traceback];\n",
    }],
  },
  {
    name: "a retry that could not be sent is dropped",
    does: "the message is acked although its retry is nowhere (Celery's way)",
    edits: [{
      file: RETRY,
      find: "    tellUnsent(request, error);\n    request.unsent = true;\n",
      put: "    tellUnsent(request, error);\n",
    }],
  },
  {
    name: "acked before the retry is confirmed",
    does: "a worker that dies between the two takes the task along",
    edits: [{
      file: RETRY,
      find: "    if (acksLate) await send(request, plan);",
      put:
        '    if (acksLate) void request.release({ as: "ack" });\n    if (acksLate) await send(request, plan);',
    }],
  },
  {
    name: "an early retry is tried once",
    does: "a task that was acked early is gone when its retry cannot be sent at once, and nobody is told",
    edits: [{
      file: RETRY,
      find: "    else await insist(request, plan);",
      put: "    else await send(request, plan).catch(() => {});",
    }],
  },
  {
    name: "the count of retries is not carried",
    does: "a task that fails is retried for ever",
    edits: [{ file: RETRY, find: "    retries: message.retries + 1,", put: "    retries: message.retries," }],
  },
  {
    name: "a retry goes to the default queue",
    does: "a task comes to workers that were never meant for it",
    edits: [{
      file: RETRY,
      find: "    queue,\n    eta,",
      put: "    queue: env.settings.taskDefaultQueue,\n    eta,",
    }],
  },
  {
    name: "RETRY is stored after the retry is sent",
    does: "a task that has ended is said to be retried (Celery's order)",
    edits: [{
      file: RETRY,
      find: "      await store(request);\n    }\n    if (acksLate) await send(request, plan);",
      put: "    }\n    if (acksLate) await send(request, plan);",
    }, {
      file: RETRY,
      find: "    else await insist(request, plan);",
      put:
        '    else await insist(request, plan);\n    if (outcome?.is === "retry" && keeps(request)) await store(request);',
    }],
  },
  {
    name: "an unknown publish is repeated by default",
    does: "a task is in the broker twice, and nobody asked for the risk",
    edits: [{
      file: ROAD,
      find: ": verdict.is === job.retry;",
      put: ': verdict.is === "unknown";',
    }],
  },
  {
    name: "a refused publish is said to be sent",
    does: "the caller holds the result of a task that is nowhere",
    edits: [{
      file: ROAD,
      find: 'if (verdict.is === "confirmed") job.resolve',
      put: 'if (verdict.is === "confirmed" || verdict.is === "refused") job.resolve',
    }],
  },
  {
    name: "unknown said confirmed",
    does: "what was on its way when the link went is said to be in the broker",
    edits: [{
      file: PUBLISHER,
      find:
        "      for (const one of [culprit, ...unheard]) one?.batch.settle(one.index, unknown(error.message));",
      put: "      for (const one of [culprit, ...unheard]) one?.batch.settle(one.index, CONFIRMED);",
    }],
  },
  {
    name: "a confirm settles the wrong publish",
    does: "the confirm of one publish is taken for that of the next",
    edits: [{
      file: PUBLISHER,
      find: "if (!multiple) return this.#conclude(deliveryTag, is);",
      put: "if (!multiple) return this.#conclude(deliveryTag + 1, is);",
    }],
  },
  {
    name: "a confirm settles the oldest publish",
    does: "a confirm that was lost is made good by the next one, whatever became of the first publish",
    edits: [{
      file: PUBLISHER,
      find: "if (!multiple) return this.#conclude(deliveryTag, is);",
      put: "if (!multiple) return this.#conclude(Math.min(...this.#pending.keys()), is);",
    }],
  },
  {
    name: "a nack is taken for an ack",
    does: "what the broker refused is said to be in it",
    edits: [{
      file: PUBLISHER,
      find: 'is === "basic.ack" ? good : refused("the broker refused it (nack)", true),',
      put: "good,",
    }],
  },
  {
    name: "a stale settlement is said to be settled",
    does: "an early task runs though its message is back in the queue",
    edits: [{
      file: DELIVERY,
      find: "if (!this.#lane.channel.stands) return this.#end(STALE);",
      put: "if (!this.#lane.channel.stands) return this.#end(SETTLED);",
    }],
  },
  {
    name: "a stale settlement is let through",
    does: "an ack of the lost channel acks whatever has the same number on the new one",
    edits: [
      {
        file: LANES,
        find: "  readonly channel: ClientChannel;\n",
        put:
          "  readonly own: ClientChannel;\n  get channel(): ClientChannel {\n    return this.#owner.standing(this.queue)?.own ?? this.own;\n  }\n",
      },
      { file: LANES, find: "    this.channel = session.channel({", put: "    this.own = session.channel({" },
      {
        file: LANES,
        find: "  get prefetch(): number {",
        put:
          "  standing(queue: string): QueueLane | undefined {\n    return this.#lanes.get(queue);\n  }\n\n  get prefetch(): number {",
      },
    ],
  },
  {
    name: "a lost requeue",
    does: "what a worker had prefetched and not read is dropped when it stops",
    edits: [{
      file: DELIVERY,
      find: 'if (this.#lane.channel.stands) this.#send("basic.nack", true);',
      put: 'if (this.#lane.channel.stands) this.#send("basic.nack", false);',
    }],
  },
  {
    name: "prefetch exceeded",
    does: "a worker holds more messages than it asked for",
    edits: [{
      file: LANES,
      find: 'this.channel.ask({ do: "basic.qos", prefetch }),',
      put: 'this.channel.ask({ do: "basic.qos", prefetch: prefetch + 1 }),',
    }],
  },
  {
    name: "deliveries dropped after a reconnect",
    does: "what comes a second time is taken for a repeat and left alone",
    edits: [{
      file: LANES,
      find: "        else owner.yield(delivery);",
      put: "        else if (!event.redelivered) owner.yield(delivery);",
    }],
  },
  {
    name: "a lost lane is not opened again",
    does: "a worker is alive after a cut and consumes nothing",
    edits: [{
      file: LANES,
      find: "    this.#lanes.set(lane.queue, undefined);\n    // A lost link",
      put: "    // A lost link",
    }],
  },
  {
    name: "a loss is not told to those who wait",
    does: "a message that waits for its time in a worker whose link went is run twice",
    edits: [{
      file: LANES,
      find: "        for (const delivery of this.watched) delivery.lose();\n",
      put: "",
    }],
  },
  {
    name: "SUCCESS is overwritten",
    does: "a second run that fails takes the result of the first away",
    edits: [{
      file: "adapters/memory/store.ts",
      find: 'if (this.#records.get(record.taskId)?.status === "SUCCESS") return "kept";',
      put: "",
    }],
  },
  {
    name: "bodies share their memory",
    does: "a task runs with the arguments of another",
    edits: [{ file: "adapters/memory/message.ts", find: "  used += size;\n", put: "" }],
  },
  {
    name: "the server forgets what a lost connection held",
    does: "unacked messages of a cut link are gone",
    edits: [{
      file: "adapters/memory/rabbit/rabbit.ts",
      find: "      queue.giveBack(entries);\n",
      put: "      void entries;\n",
    }],
  },
];
