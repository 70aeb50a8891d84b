/**
 * A Redis for the tests of one file alone, with a way to it that can be disturbed.
 *
 * @module
 */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { Broker } from "../../src/broker.ts";
import { type PrivateGateway, startGateway } from "../support/gateway.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { bareClient, placeOf } from "./setup.ts";

/** The server, there while the tests of the file run and emptied before each of them. */
export interface OwnRedis {
  readonly url: string;
  /** A bare client of it. */
  readonly redis: ReturnType<typeof bareClient>;
  /** A way to it; healed after each test. */
  readonly proxy: Proxy;
  /** What speaks for it over HTTP; healed after each test. */
  readonly gateway: PrivateGateway;
  /** The broker is closed after the test. */
  kept(broker: Broker): Broker;
}

/** To be called at the top of a file. */
export function ownRedis(by: { readonly gateway?: true; readonly proxy?: true } = {}): OwnRedis {
  let server: PrivateServer;
  let gateway: PrivateGateway | undefined;
  let proxy: Proxy | undefined;
  let redis: ReturnType<typeof bareClient>;
  const brokers: Broker[] = [];

  beforeAll(async () => {
    server = await startRedis();
    if (by.proxy) proxy = await startProxy(placeOf(server.url));
    if (by.gateway) gateway = await startGateway({ redis: server.url });
    redis = bareClient(server.url);
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await redis.flushall();
  });
  afterEach(async () => {
    proxy?.heal();
    gateway?.faults.heal();
    for (const broker of brokers.splice(0)) await broker.close();
  });

  return {
    get url() {
      return server.url;
    },
    get redis() {
      return redis;
    },
    get proxy() {
      return proxy as Proxy;
    },
    get gateway() {
      return gateway as PrivateGateway;
    },
    kept(broker) {
      brokers.push(broker);
      return broker;
    },
  };
}
