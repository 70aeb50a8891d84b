/**
 * The classes of events that the sequences must meet.
 *
 * @module
 */
import type { Coverage } from "../../support/coverage.ts";
import type { Queue } from "../../../adapters/memory/rabbit/queue.ts";
import type { FakeServer } from "./fake.ts";
import { connectionOf, type SettleStep, SLOTS, type Step } from "./step.ts";

const STEPS: readonly Step["do"][] = [
  "declare",
  "delete",
  "purge",
  "exchange",
  "deleteExchange",
  "bind",
  "unbind",
  "publish",
  "qos",
  "consume",
  "cancel",
  "get",
  "ack",
  "nack",
  "reject",
  "confirm",
  "recover",
  "open",
  "close",
  "closeConnection",
  "drop",
];

/** What a sequence of P01 may meet; a run of many meets each of them. */
export const CHANNEL_CLASSES: readonly string[] = [
  ...STEPS.map((step) => `step ${step}`),
  "left to chance",
  "delivery",
  "redelivery",
  "got",
  "got again",
  "got nothing",
  "returned message",
  "confirmed",
  "refused",
  "dead: rejected",
  "dead: expired",
  "dead: maxlen",
  "dead twice",
  "consumer cancelled by the server",
  "channel 403",
  "channel 404",
  "channel 405",
  "channel 406",
  "connection 503",
  "connection 530",
  "tag 0",
  "tag used before",
  "tag of the channel before",
  "tag of another channel",
  "tag to come",
  "multiple ack",
  "multiple nack",
  "requeue to a consumer",
  "queue of two consumers",
  "full consumer",
  "priority served first",
  "unacked over a lost connection",
  "redeclared as it is",
  "redeclared differently",
  "auto-delete queue gone",
  "exclusive queue gone",
];

/** What a sequence of P11 may meet. */
export const TIME_CLASSES: readonly string[] = [
  "step wait",
  "left to chance",
  "delivery",
  "redelivery",
  "got",
  "got again",
  "dead: rejected",
  "dead: expired",
  "dead: maxlen",
  "dead twice",
  "dead of its own time",
  "ended by time",
  "ended by time after another end",
  "short one behind a longer one",
  "given back after its end",
  "requeue to a consumer",
  "unused queue gone",
];

/** Looks at a step before the reducer runs it; gives what is to be noted after that. */
export function noteStep(cover: Coverage, fake: FakeServer, step: Step): () => void {
  const known = new Map([...fake.rabbit.queues].map(([name, { identity }]) => [name, identity]));
  const settled = step.do === "ack" || step.do === "nack" || step.do === "reject"
    ? tagClass(fake, step)
    : undefined;
  const held = [2 * connectionOf(step.slot), 2 * connectionOf(step.slot) + 1]
    .reduce((sum, slot) => sum + fake.unsettled(slot).length, 0);
  const delivered = fake.traces.map(({ deliveries }) => deliveries.length);
  const redeclared = step.do === "declare" && !step.passive && known.has(step.queue);
  const expired = expiredOf(fake);
  const behind = step.do === "wait" && [...fake.rabbit.queues.values()].some(isBehind);
  return () => {
    cover.note(`step ${step.do}`);
    if (step.do === "wait") {
      const ended = expiredOf(fake) - expired;
      cover.note("ended by time", ended > 0);
      cover.note("ended by time after another end", ended > 1);
      cover.note("short one behind a longer one", behind);
    } else if (step.do === "nack") cover.note("given back after its end", expiredOf(fake) > expired);
    if (settled !== undefined) cover.note(settled);
    if (step.do === "drop") cover.note("unacked over a lost connection", held > 0);
    if (redeclared) cover.note(fake.isOpen(step.slot) ? "redeclared as it is" : "redeclared differently");
    const fresh = fake.traces.flatMap(({ deliveries }, slot) => deliveries.slice(delivered[slot]));
    if (step.do === "nack") cover.note("requeue to a consumer", fresh.some((text) => / true /.test(text)));
    for (const [name, identity] of known) {
      if (fake.rabbit.queues.has(name) || step.do === "delete") continue;
      if (step.do === "wait") cover.note("unused queue gone");
      cover.note("auto-delete queue gone", identity.autoDelete);
      cover.note("exclusive queue gone", identity.owner !== undefined);
    }
    for (const { turns, ready, rules } of fake.rabbit.queues.values()) {
      cover.note("queue of two consumers", turns.size > 1);
      cover.note("full consumer", ready.size > 0 && turns.size > 0);
      if (rules.maxPriority > 0) cover.note("priority served first", ready.size > 1);
    }
  };
}

function expiredOf({ rabbit }: FakeServer): number {
  return [...rabbit.queues.values()].reduce((sum, queue) => sum + queue.tally.expired, 0);
}

/** Whether some message ends before the one at the head. */
function isBehind({ ready }: Queue): boolean {
  const head = ready.peek()?.expiry ?? Infinity;
  return [...ready].some((entry) => entry.expiry < head);
}

function tagClass(
  fake: FakeServer,
  { slot, deliveryTag, multiple, do: how }: SettleStep,
): string | undefined {
  const tags = fake.outstanding(slot);
  const good = tags.includes(deliveryTag);
  if (fake.stale(slot).includes(deliveryTag)) return "tag of the channel before";
  if (good || (multiple && deliveryTag === 0)) {
    if (!multiple || how === "reject") return undefined;
    return how === "ack" ? "multiple ack" : "multiple nack";
  }
  if (deliveryTag === 0) return "tag 0";
  if (deliveryTag <= fake.lastTag(slot)) return "tag used before";
  const others = Array.from({ length: SLOTS }, (_, other) => other).filter((other) => other !== slot);
  return others.some((other) => fake.outstanding(other).includes(deliveryTag))
    ? "tag of another channel"
    : "tag to come";
}

/** Looks at all that was said in a sequence. */
export function noteSequence(cover: Coverage, fake: FakeServer): void {
  for (const { deliveries, replies, returns, confirms, cancels, closes } of fake.traces) {
    const got = replies.filter((text) => text.startsWith("got"));
    for (const text of [...deliveries, ...got]) {
      for (const reason of ["rejected", "expired", "maxlen"]) {
        cover.note(`dead: ${reason}`, text.includes(`/${reason}/`));
      }
      cover.note("dead of its own time", /\/\d+[,\]]/.test(text));
      cover.note("dead twice", /; .*, \d+\//.test(text) || /; ([2-9]|\d\d)\//.test(text));
    }
    const again = deliveries.filter((text) => / true /.test(text)).length;
    cover.note("redelivery", true, again);
    cover.note("delivery", true, deliveries.length - again);
    const gotAgain = got.filter((text) => / true /.test(text)).length;
    cover.note("got again", true, gotAgain);
    cover.note("got", true, got.length - gotAgain);
    cover.note("got nothing", true, replies.filter((text) => text === "empty").length);
    cover.note("returned message", true, returns.length);
    cover.note("confirmed", true, confirms.filter((text) => text.endsWith("true")).length);
    cover.note("refused", true, confirms.filter((text) => text.endsWith("false")).length);
    cover.note("consumer cancelled by the server", true, cancels.length);
    for (const close of closes) cover.note(close.split(" ").slice(0, 2).join(" "));
  }
}
