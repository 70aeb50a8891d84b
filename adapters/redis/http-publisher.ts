/**
 * The publish half of kombu's Redis transport over HTTP: each publish is one request, which is safe to repeat.
 *
 * @module
 */
import type { Outgoing, PublishBroker, PublishFeatures, PublishOptions, Verdict } from "../../src/broker.ts";
import type { HttpLink } from "./http-link.ts";
import { passes, refused, Trouble } from "./http-trouble.ts";
import { Packer, verdictsOf } from "./packer.ts";
import { PUBLISH_MESSAGES } from "./publish-script.ts";

/** Bytes of bodies in one request, which may have 10 MiB at Upstash: in base64 they are a third more. */
export const MOST = 7_000_000;

/** How long an outcome is remembered after the deadline, ms: no repeat can be on its way for longer. */
const MEMORY = 120_000;

/** What it can do. */
export const PUBLISHES: PublishFeatures = {
  link: "call",
  confirm: "memory",
  mustRoute: true,
  resends: true,
  exchanges: ["direct", "topic", "fanout"],
  delay: false,
  priority: "low-first",
  maxMessage: MOST,
};

/** The sending half of a broker; see the module. */
export class HttpPublisher extends Packer implements PublishBroker {
  readonly transport = "redis";
  readonly address: string;
  readonly features: PublishFeatures = PUBLISHES;
  readonly link: HttpLink;

  constructor(link: HttpLink, prefix = "") {
    // Over HTTP there is the database 0 only.
    super(prefix, link.platform.ids, MOST, 0);
    this.link = link;
    this.address = link.address;
  }

  async publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const { clock } = this.link.platform;
    const { declare = [], deadline = clock.now() + this.link.timeout } = options;
    const bindings = this.bind(declare);
    // As `declare` would.
    if (declare[0]) options.signal?.throwIfAborted();
    if (!batch[0] && !bindings[0]) return [];
    const packed = batch.map((outgoing) => this.pack(outgoing));
    const body = this.script(this.args(bindings, packed, deadline - clock.now() + MEMORY));
    const answer = await this.link.ask([], body, { ...options, deadline });
    return verdictsOf(batch, packed, "result" in answer ? answer.result : "", (line) => {
      const said = line.slice(1);
      const met = answer instanceof Trouble
        ? answer
        : line[0] === "!"
        ? refused(said)
        : new Trouble("lost", said);
      const reason = `${this.address}: ${met.text}`;
      return met.doubt ? { is: "unknown", reason } : { is: "refused", reason, retry: passes(met) };
    });
  }

  async close(): Promise<void> {}

  /** The command that binds and publishes, once. */
  script(args: readonly unknown[]): readonly unknown[] {
    const id = `${this.prefix}celeriac:pub:${this.link.platform.ids.uuid()}`;
    return ["EVAL", PUBLISH_MESSAGES, 1, id, ...args];
  }
}
