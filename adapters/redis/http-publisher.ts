/**
 * The publish half of kombu's Redis transport over HTTP: each publish is one request, which is safe to repeat.
 *
 * @module
 */
import type { Outgoing, PublishBroker, PublishFeatures, PublishOptions, Verdict } from "../../src/broker.ts";
import type { Duration } from "../../src/lib/duration.ts";
import { type Answer, HttpLink, type UpstashServer, type UpstashSettings } from "./http-link.ts";
import { passes, refused, Trouble } from "./http-trouble.ts";
import { argsOf, bind, pack, type Packed, type Packer, type Types, verdictsOf } from "./packer.ts";
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

/** What a publisher is told. */
export type PublisherSettings = UpstashSettings & UpstashServer & { readonly publishTimeout?: Duration };

/** The sending half of a broker: a link, with kombu's way to publish over it; see the module. */
export class HttpPublisher extends HttpLink implements PublishBroker, Packer {
  readonly transport = "redis";
  readonly features: PublishFeatures = PUBLISHES;
  declare readonly prefix: string;
  /** Over HTTP there is no other. */
  readonly db = 0;
  readonly types: Types = new Map();

  constructor(settings: PublisherSettings) {
    super(settings, settings.publishTimeout);
    this.prefix = settings.globalKeyprefix ?? "";
  }

  async publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const { clock } = this.platform;
    const { declare = [], deadline = clock.now() + this.timeout } = options;
    const bindings = bind(this, declare);
    // As `declare` would.
    if (declare[0]) options.signal?.throwIfAborted();
    if (!batch[0] && !bindings[0]) return [];
    const packed = batch.map((outgoing) => pack(this, outgoing));
    const body = this.script(bindings, packed, deadline - clock.now() + MEMORY);
    const answer = await this.ask([], body, { ...options, deadline });
    // A trouble has no result, and so no verdict in it.
    return verdictsOf(batch, packed, (answer as Answer).result, (line) => {
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

  /** The command that binds and publishes, once; `memory` is in ms. */
  script(bindings: readonly string[], packed: readonly Packed[], memory: number): readonly unknown[] {
    const id = `${this.prefix}celeriac:pub:${this.platform.ids.uuid()}`;
    return ["EVAL", PUBLISH_MESSAGES, 1, id, ...argsOf(this, bindings, packed, memory)];
  }
}
