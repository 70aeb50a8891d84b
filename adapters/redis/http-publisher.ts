/**
 * The publish half of kombu's Redis transport over HTTP: each publish is one request, which is safe to repeat.
 *
 * @module
 */
import type {
  Entity,
  ExchangeType,
  Outgoing,
  PublishBroker,
  PublishFeatures,
  PublishOptions,
  Verdict,
} from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import type { HttpLink } from "./http-link.ts";
import { passes, refused, Trouble } from "./http-trouble.ts";
import { bindingKey, bindingMember, envelope, fanoutChannel, stepOf } from "./kombu.ts";
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
  exchanges: ["direct", "topic", "fanout"],
  priority: "low-first",
  maxMessage: MOST,
};

/** The sending half of a broker; see the module. */
export class HttpPublisher implements PublishBroker {
  readonly transport = "redis";
  readonly address: string;
  readonly features: PublishFeatures = PUBLISHES;
  readonly link: HttpLink;
  readonly prefix: string;
  /** What was declared: kombu keeps it in each process, too. */
  readonly #types: Map<string, ExchangeType> = new Map();

  constructor(link: HttpLink, prefix = "") {
    this.link = link;
    this.prefix = prefix;
    this.address = link.address;
  }

  async publish(batch: readonly Outgoing[], options: PublishOptions = {}): Promise<readonly Verdict[]> {
    const { clock } = this.link.platform;
    const { declare = [], deadline = clock.now() + this.link.timeout } = options;
    const bindings = this.bind(declare);
    if (batch.length + bindings.length === 0) return [];
    const packed = batch.map((outgoing) => this.#pack(outgoing));
    const going = packed.filter((one) => Array.isArray(one));
    const body = this.script(bindings, going.flat(), deadline - clock.now() + MEMORY);
    const answer = await this.link.ask([], body, { ...options, deadline });
    const lines = "result" in answer ? String(answer.result).split("\n") : [];
    // What does not fit the question is no answer to it.
    if (lines.length !== going.length) lines.length = 0;
    return packed.map((one, at) => {
      if (typeof one === "string") return { is: "refused", reason: one, retry: false };
      const line = lines.shift() ?? "?no verdict";
      if (line === "0" && batch[at]?.mustRoute) return { is: "unroutable" };
      if (/^\d+$/.test(line)) return { is: "confirmed" };
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

  /** The bindings among the entities, as set and member. */
  bind(entities: readonly Entity[]): string[] {
    return entities.flatMap((entity) => {
      if (entity.kind === "exchange") {
        const { name, type } = entity;
        if ((this.#types.get(name) ?? type) !== type) {
          throw new ConfigurationError(
            "topology-mismatch",
            `Exchange ${name} was declared before, with another type.`,
          );
        }
        this.#types.set(name, type);
      }
      return entity.kind === "binding" && entity.exchange
        ? [this.prefix + bindingKey(entity.exchange), bindingMember(entity, this.#types.get(entity.exchange))]
        : [];
    });
  }

  /** The five arguments of a message for the script; or why it cannot go. */
  #pack({ message, to }: Outgoing): readonly string[] | string {
    const { exchange, routingKey } = to;
    if (message.body.length > MOST) return `a body of more than ${MOST} bytes`;
    try {
      const text = envelope(message, to, this.link.platform.ids.uuid());
      const step = stepOf(message.properties["priority"]);
      if (exchange === "") return ["LPUSH", this.prefix + routingKey + step, "", "", text];
      return this.#types.get(exchange) === "fanout"
        ? ["PUBLISH", this.prefix + fanoutChannel(to), "", "", text]
        : ["", this.prefix + bindingKey(exchange), routingKey, step, text];
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** The command that binds and publishes, once; `memory` is in ms. */
  script(bindings: readonly string[], messages: readonly string[], memory: number): readonly unknown[] {
    const { link, prefix } = this;
    const id = `${prefix}celeriac:pub:${link.platform.ids.uuid()}`;
    return [
      ...["EVAL", PUBLISH_MESSAGES, 1, id, Math.ceil(memory), prefix, bindings.length / 2],
      ...bindings,
      ...messages,
    ];
  }
}
