/**
 * The two kinds of sequences: channel commands in one instant, and the same in a time that passes.
 *
 * @module
 */
import { CHANNEL_CLASSES, TIME_CLASSES } from "./classes.ts";
import type { Profile } from "./plan.ts";
import type { Names, QueueOptions } from "./step.ts";

const PLAIN: QueueOptions = { durable: true, exclusive: false, autoDelete: false, arguments: {} };

function deadTo(names: Names, queue: number): Readonly<Record<string, unknown>> {
  return { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": names.queues[queue] };
}

/** P01: nothing depends on time; ends are now or never. */
export const CHANNELS: Profile = {
  name: "P01 channels",
  weights: {
    publish: 22,
    burst: 6,
    ack: 12,
    nack: 12,
    reject: 6,
    badTag: 2,
    consume: 12,
    cancel: 3,
    get: 6,
    qos: 6,
    confirm: 1,
    recover: 1,
    declare: 3,
    passive: 1,
    remove: 1,
    purge: 1,
    exchange: 1,
    removeExchange: 1,
    bind: 4,
    unbind: 1,
    close: 2,
    closeConnection: 1,
    drop: 1,
    badExpiration: 1,
  },
  length: { min: 1, max: 80 },
  queues: (names) => [
    PLAIN,
    { ...PLAIN, arguments: deadTo(names, 1) },
    { ...PLAIN, arguments: { "x-max-length": 2, "x-overflow": "reject-publish" } },
    { ...PLAIN, arguments: { "x-max-length": 2, ...deadTo(names, 0) } },
    { ...PLAIN, arguments: deadTo(names, 0) },
    { ...PLAIN, arguments: { "x-max-priority": 3 } },
    PLAIN,
    { ...PLAIN, durable: false, autoDelete: true },
    { ...PLAIN, durable: false, exclusive: true },
    { ...PLAIN, arguments: { "x-dead-letter-exchange": names.exchanges[0] } },
    { ...PLAIN, arguments: { "x-message-ttl": 0, ...deadTo(names, 0) } },
    { ...PLAIN, arguments: { "x-message-ttl": 3_600_000 } },
    { ...PLAIN, arguments: { "x-max-priority": 2, "x-max-length": 3, ...deadTo(names, 0) } },
    { ...PLAIN, arguments: { "x-max-priority": 2, "x-max-length": 2, "x-overflow": "reject-publish" } },
    { ...PLAIN, arguments: { "x-max-length-bytes": 12 } },
    { ...PLAIN, arguments: { "x-max-length-bytes": 12, "x-overflow": "reject-publish" } },
    { ...PLAIN, arguments: { "x-single-active-consumer": true } },
    { ...PLAIN, arguments: { "x-single-active-consumer": true, "x-max-priority": 3, ...deadTo(names, 0) } },
    { ...PLAIN, arguments: { "x-max-length": 2, "x-overflow": "reject-publish-dlx", ...deadTo(names, 0) } },
    { ...PLAIN, arguments: { "x-max-length": 1, ...deadTo(names, 2) } },
    { ...PLAIN, arguments: deadTo(names, 2) },
  ],
  refused: [
    { ...PLAIN, arguments: { "x-max-priority": 300 } },
    { ...PLAIN, arguments: { "x-message-ttl": -1 } },
    { ...PLAIN, arguments: { "x-dead-letter-routing-key": "k" } },
    { ...PLAIN, arguments: { "x-overflow": "nonsense" } },
    { ...PLAIN, arguments: { "x-expires": 0 } },
  ],
  expirations: ["0", "3600000"],
  waits: [],
  slack: Infinity,
  classes: CHANNEL_CLASSES,
};

/**
 * P11: steps happen every ten units of time, and ends lie at two, four, six and eight units after them, those of a message that dies
 * from queue to queue included; an unused queue ends at nine. `unit` in ms: a server and a test that are late by almost one unit are
 * still in time.
 */
export function time(unit: number): Profile {
  const ttl = (units: number) => ({ "x-message-ttl": units * unit });
  return {
    name: "P11 time",
    weights: {
      wait: 14,
      publish: 26,
      burst: 6,
      get: 10,
      reject: 10,
      nack: 8,
      ack: 5,
      consume: 6,
      cancel: 3,
      declare: 2,
      passive: 2,
      remove: 1,
      purge: 1,
      bind: 2,
      qos: 2,
      close: 1,
      drop: 1,
    },
    length: { min: 1, max: 50 },
    queues: (names) => [
      PLAIN,
      { ...PLAIN, arguments: deadTo(names, 1) },
      { ...PLAIN, arguments: { ...ttl(2), ...deadTo(names, 0) } },
      { ...PLAIN, arguments: { ...ttl(12), ...deadTo(names, 0) } },
      { ...PLAIN, arguments: { ...ttl(2), ...deadTo(names, 2) } },
      { ...PLAIN, arguments: { ...ttl(2), "x-dead-letter-exchange": names.exchanges[0] } },
      { ...PLAIN, arguments: { ...ttl(2) } },
      { ...PLAIN, arguments: { ...ttl(0), ...deadTo(names, 0) } },
      { ...PLAIN, arguments: { ...ttl(12), "x-max-length": 2, ...deadTo(names, 0) } },
      { ...PLAIN, arguments: { "x-max-priority": 2, ...ttl(12), ...deadTo(names, 0) } },
      { ...PLAIN, arguments: { "x-expires": 9 * unit, ...deadTo(names, 0) } },
      { ...PLAIN, arguments: { "x-expires": 19 * unit, ...ttl(2), ...deadTo(names, 0) } },
      { ...PLAIN, arguments: deadTo(names, 0) },
    ],
    refused: [],
    expirations: [String(2 * unit), String(12 * unit), "3600000", "0"],
    waits: [10 * unit, 10 * unit, 20 * unit],
    slack: 0.9 * unit,
    classes: TIME_CLASSES,
  };
}
