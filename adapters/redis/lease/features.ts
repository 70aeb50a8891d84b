/**
 * What leases can do.
 *
 * @module
 */
import type { BrokerFeatures } from "../../../src/broker.ts";

/** What a broker with such consumers can do. The longest park is as long as a revoke is remembered. */
export const LEASED: Pick<
  BrokerFeatures,
  "delivery" | "requeue" | "park" | "maxPark" | "loss" | "attempts"
> = {
  delivery: "poll",
  requeue: "front",
  park: "lease",
  maxPark: 28 * 86_400_000,
  loss: "lease",
  attempts: false,
};
