/**
 * The servers of an edge function: a relay before RabbitMQ and a gateway before Redis.
 *
 * @module
 */
import { inject } from "vitest";
import { type PrivateGateway, startGateway } from "../gateway.ts";
import { type Relay, startRelay } from "../relay.ts";
import type { Servers } from "./functions.ts";
import { atRelay } from "./queues.ts";

/** Both servers; disposing ends them. */
export interface EdgeServers extends AsyncDisposable {
  readonly relay: Relay;
  readonly gateway: PrivateGateway;
  /** What a function is given. */
  given(queue: string): Servers;
}

/** Starts both. */
export async function startEdgeServers(): Promise<EdgeServers> {
  const { hostname, port } = new URL(inject("amqp"));
  const relay = await startRelay({ host: hostname, port: Number(port) });
  const gateway = await startGateway({ redis: inject("redis") });
  const { url, token } = gateway;
  return {
    relay,
    gateway,
    given: (queue) => ({ relay: atRelay(relay.url), gateway: { url, token }, queue }),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await relay[Symbol.asyncDispose]();
    },
  };
}

/** The contracts in a bundle, each with the least number of its tests. */
export const CONTRACTS = [
  ["results over HTTP", "test/support/edge/contracts/results-http.ts", 60],
  ["AMQP over WebSocket", "test/support/edge/contracts/amqp-websocket.ts", 75],
] as const;

/** What the contracts in a bundle are given. */
export interface ContractServers extends AsyncDisposable {
  given(link: "shared" | "call"): Readonly<Record<string, unknown>>;
}

/** As {@link startEdgeServers}, with a second gateway that has no streams. */
export async function startContractServers(): Promise<ContractServers> {
  const servers = await startEdgeServers();
  const polled = await startGateway({ redis: inject("redis") });
  polled.faults.noSubscribe();
  const { relay, gateway } = servers.given("");
  return {
    given: (link) => ({ relay, gateway, polled: { url: polled.url, token: polled.token }, link }),
    async [Symbol.asyncDispose]() {
      await polled[Symbol.asyncDispose]();
      await servers[Symbol.asyncDispose]();
    },
  };
}
