/**
 * Wrong versions of the broker on Redis, written from its promises without sight of the tests: each must be caught by the contract suite, or
 * by the proofs beside it. `node test/mutants/redis.mjs` runs them all; what it found stands in redis.md. Those that the property of claims
 * and leases (P15) sees are caught by it in redis.test.ts, too.
 *
 * @module
 */

/** One change of one file. */
export interface RedisMutant {
  /** What is wrong with it. */
  readonly name: string;
  /** Under adapters/redis/. */
  readonly file: string;
  /** Stands there once. */
  readonly from: string;
  readonly to: string;
  /** Whether the property of claims and leases sees it. */
  readonly byLeases?: true;
}

/** See the module. */
export const REDIS_MUTANTS: readonly RedisMutant[] = [
  {
    name: "an ack forgets the index",
    file: "lease/scripts.ts",
    from: "if done == 1 then call('ZREM', index, tag) end\nat = at + 2",
    to: "at = at + 2",
    byLeases: true,
  },
  {
    name: "a sweep ignores leases",
    file: "lease/sweeper.ts",
    from: "seconds(clock.now() - visibilityTimeout)",
    to: "seconds(clock.now())",
    byLeases: true,
  },
  {
    // That it takes them for dead is no mutant: the script looks again.
    name: "a sweep does not look again whether a consumer lives",
    file: "lease/sweeper.ts",
    from: "this.#rescue(part.toReversed(), keys.beat(id))",
    to: 'this.#rescue(part.toReversed(), "")',
    byLeases: true,
  },
  {
    name: "a requeue goes to the back",
    file: "lease/scripts.ts",
    from: "call('RPUSH', A[at + 2], text(",
    to: "call('LPUSH', A[at + 2], text(",
    byLeases: true,
  },
  {
    name: "a claim takes no lease",
    file: "lease/scripts.ts",
    from: "call('ZADD', index, unpack(scores))\n",
    to: "",
    byLeases: true,
  },
  {
    name: "a claim leaves the messages in their list",
    file: "lease/scripts.ts",
    from: "call('LTRIM', list, 0, -1 - took)\n",
    to: "",
    byLeases: true,
  },
  {
    name: "a second settlement is let through",
    file: "lease/delivery.ts",
    from: "if (this.#settled) throw",
    to: "if (false) throw",
  },
  {
    name: "a purge knows one list of the four",
    file: "lists.ts",
    from: '["del", ...this.#keys.lists(queue)]',
    to: '["del", this.#keys.list(queue, 0)]',
  },
  {
    name: "stale is told as settled",
    file: "lease/settler.ts",
    from: 'ours ? "settled" : "stale"',
    to: '"settled"',
  },
  {
    name: "leases are not renewed",
    file: "lease/keeper.ts",
    from: "if (tags.length === 0) return;",
    to: "return;",
  },
  {
    name: "the prefetch is ignored",
    file: "lease/taps.ts",
    from: "prefetch === 0 ? Infinity : prefetch - held",
    to: "Infinity",
  },
  {
    name: "an answer that was lost is not given again",
    file: "lease/scripts.ts",
    from: "if reached > first then",
    to: "if false then",
    byLeases: true,
  },
  {
    name: "a subscription listens to its first key only",
    file: "subscription.ts",
    from: "for (const pattern of patterns) channels.feed.add(pattern);",
    to: 'channels.feed.add([...patterns][0] ?? ""); this.begun.resolve();',
  },
  {
    name: "a subscription is ready before it listens",
    file: "subscription.ts",
    from: "channels.listeners.add(this);",
    to: "channels.listeners.add(this); this.begun.resolve();",
  },
  {
    name: "priorities are inverted",
    file: "kombu.ts",
    from: "const step = 3 * Math.floor(Math.min(9, Number(priority) || 0) / 3);",
    to: "const step = 9 - 3 * Math.floor(Math.min(9, Number(priority) || 0) / 3);",
  },
  {
    name: "parked messages come before their time",
    file: "lease/scripts.ts",
    from: "ZRANGEBYSCORE', parked, '-inf', now,",
    to: "ZRANGEBYSCORE', parked, '-inf', '+inf',",
    byLeases: true,
  },
  {
    name: "what comes again is not flagged",
    file: "lease/settle.ts",
    from: 'return ["back", tag, keys.list(queue, step), tailOf(queue), flagged(text)];',
    to: 'return ["back", tag, keys.list(queue, step), tailOf(queue), ""];',
  },
  {
    name: "what no queue took counts as confirmed",
    file: "packer.ts",
    from: 'if (line === "0" && batch[at]?.mustRoute) return { is: "unroutable" };',
    to: "",
  },
  {
    name: "a queue that is removed keeps what was not read",
    file: "lease/consumer.ts",
    from: "await this.#claiming;\n    await this.#giveBack(unread);",
    to: "await this.#claiming;",
  },
  {
    name: "a stop keeps what was not read",
    file: "lease/consumer.ts",
    from: "await this.#running;\n      await this.#giveBack(unread);",
    to: "await this.#running;",
  },
  {
    name: "what is given back changes its order",
    file: "lease/settle.ts",
    from: "claimed.toReversed().map(",
    to: "claimed.map(",
  },
];
