import { inject } from "vitest";
import { afterEach, describe, expect, test } from "vitest";
import { transports } from "../../adapters/url.ts";
import { findSetting } from "../../src/app/settings-names.ts";
import { readSetting, readSettings, SETTING_NAMES } from "../../src/app/settings-table.ts";
import type { TransportOptions } from "../../src/app/transports.ts";
import { systemPlatform } from "../../src/lib/platform.ts";

const lines: string[] = [];

afterEach(() => void lines.splice(0));

/** An app's settings, by Celery's names. */
function options(settings: Readonly<Record<string, unknown>> = {}): TransportOptions {
  const values = new Map<string, unknown>();
  for (const [name, value] of Object.entries(settings)) {
    const found = findSetting(name, SETTING_NAMES);
    if (found?.is !== "ours") throw new Error(`no setting ${name}`);
    values.set(found.name, readSetting(found.name, value));
  }
  return {
    settings: readSettings(values),
    platform: systemPlatform,
    logger: { log: (level, message) => lines.push(`${level}: ${message}`) },
  };
}

describe("transports", () => {
  test.each([
    ["amqp://guest:canary@localhost//", "amqp"],
    ["pyamqp://guest:canary@localhost//", "amqp"],
    ["librabbitmq://guest:canary@localhost//", "amqp"],
    ["amqps://guest:canary@localhost//", "amqp"],
    ["AMQP://localhost", "amqp"],
    ["ws://guest:canary@localhost/ws?vhost=/&token=canary", "amqp"],
    ["wss://guest:canary@localhost/ws?sig=canary", "amqp"],
    ["redis://:canary@localhost:6379/1", "redis"],
    ["rediss://user:canary@localhost:6379/1", "redis"],
    ["redis+socket:///run/redis.sock?virtual_host=2", "redis"],
    ["memory://", "memory"],
  ])("%s is a broker over %s, made without I/O", (url, transport) => {
    const broker = transports.broker([url], options());
    expect(broker.transport).toBe(transport);
    expect(broker.address).not.toContain("canary");
  });

  test.each([
    ["redis://:canary@localhost:6379/0", "redis"],
    ["rediss://:canary@localhost:6379/0", "redis"],
    ["redis+socket:///run/redis.sock", "redis"],
    ["redis", "redis"],
    ["memory://", "memory"],
    ["memory", "memory"],
  ])("%s is a result backend over %s, made without I/O", (url, transport) => {
    const backend = transports.backend(url, options());
    expect(backend.transport).toBe(transport);
    expect(backend.address).not.toContain("canary");
  });

  test.each([
    ["sentinel://:canary@localhost/0", /redisBroker\(client\)/],
    ["sqs://user:canary@", /schemes are amqp, amqps/],
    ["ampq://u:canary@h", /Did you mean "amqp"\?/],
    ["localhost", /schemes are/],
    ["", /schemes are/],
  ])("%s is no broker: one coded error that says what is there", (url, hint) => {
    expect(() => transports.broker([url], options())).toThrow(
      expect.objectContaining({
        name: "ConfigurationError",
        code: "transport-unsupported",
        hint: expect.stringMatching(hint),
        message: expect.not.stringContaining("canary"),
      }),
    );
  });

  test.each([
    ["rpc://", /not there yet.*redis:\/\//],
    ["cache+memory://", /memory:\/\//],
    ["db+postgresql://u:canary@h/db", /schemes are redis, rediss/],
    ["sentinel://u:canary@h:26379", /redisBackend\(client\)/],
    ["reddis://:canary@h", /Did you mean "redis"\?/],
    ["disabled", /leave result_backend out/],
  ])("%s is no result backend: one coded error that says what is there", (url, hint) => {
    expect(() => transports.backend(url, options())).toThrow(
      expect.objectContaining({
        name: "ConfigurationError",
        code: "transport-unsupported",
        hint: expect.stringMatching(hint),
        message: expect.not.stringContaining("canary"),
      }),
    );
  });

  test("transport options go to the adapter, in Celery's names or ours", async () => {
    for (const name of ["global_keyprefix", "globalKeyprefix"]) {
      const prefix = crypto.randomUUID();
      const backend = transports.backend(
        inject("redis"),
        options({ result_backend_transport_options: { [name]: prefix } }),
      );
      const id = crypto.randomUUID();
      await backend.store({ taskId: id, status: "SUCCESS", text: '{"status": "SUCCESS"}' }, { ttl: 5000 });
      const plain = transports.backend(inject("redis"), options());
      expect(await plain.load([id])).toEqual([undefined]);
      expect((await backend.load([id]))[0]?.status).toBe("SUCCESS");
      await backend.forget([id]);
      await Promise.all([backend.close(), plain.close()]);
    }
    expect(lines).toEqual([]);
  });

  test("what Celery has and the adapter has not is one warning; what nobody has is an error", () => {
    transports.backend(
      "redis://h",
      options({ result_backend_transport_options: { retry_policy: { timeout: 5 } } }),
    );
    transports.broker(
      ["amqp://h"],
      options({ broker_transport_options: { confirm_publish: true, connect_timeout: 3 } }),
    );
    transports.broker(["memory://"], options({ broker_transport_options: { polling_interval: 1 } }));
    expect(lines).toEqual([
      "warning: result_backend_transport_options: celeriac makes no use of retry_policy.",
      "warning: broker_transport_options: celeriac makes no use of confirm_publish.",
      "warning: broker_transport_options: celeriac makes no use of polling_interval.",
    ]);
    for (
      const make of [
        () =>
          transports.backend(
            "redis://h",
            options({ result_backend_transport_options: { global_keyprefx: "a" } }),
          ),
        () => transports.broker(["amqp://h"], options({ broker_transport_options: { heartbeats: 1 } })),
      ]
    ) {
      expect(make).toThrow(
        expect.objectContaining({ code: "option-unknown", hint: expect.stringContaining("Did you mean") }),
      );
    }
  });

  test("the Redis broker takes kombu's options, and none that would change its wire", () => {
    const make = (url: string, given: Readonly<Record<string, unknown>>) => () =>
      transports.broker([url], options({ broker_transport_options: given }));
    const fine = {
      visibility_timeout: 43_200,
      global_keyprefix: "shop.",
      socket_timeout: 3,
      socket_connect_timeout: 3,
      fanout_prefix: true,
      sep: "\x06\x16",
    };
    expect(make("redis://h", fine)).not.toThrow();
    expect(lines).toEqual([]);
    make("redis://h", { max_connections: 20, queue_order_strategy: "priority" })();
    expect(lines).toEqual([
      "warning: broker_transport_options: celeriac makes no use of max_connections.",
      "warning: broker_transport_options: celeriac makes no use of queue_order_strategy.",
    ]);
    for (
      const other of [{ sep: ":" }, { priority_steps: [0, 5] }, { fanoutPrefix: false }, {
        unacked_key: "mine",
      }]
    ) {
      expect(make("redis://h", other)).toThrow(expect.objectContaining({ code: "option-invalid" }));
    }
    expect(make("redis://h", { visibility_timeuot: 1 })).toThrow(
      expect.objectContaining({ code: "option-unknown", hint: expect.stringContaining("visibilityTimeout") }),
    );
    expect(() => transports.broker(["redis://a", "redis://:canary@b"], options())).toThrow(
      expect.objectContaining({ code: "broker-url-invalid", message: expect.not.stringContaining("canary") }),
    );
  });

  test("settings of time reach the adapter", () => {
    const given = options({
      broker_connection_timeout: 1.5,
      broker_heartbeat: null,
      publish_timeout: "250ms",
    });
    expect(given.settings).toMatchObject({
      brokerConnectionTimeout: 1500,
      brokerHeartbeat: 0,
      publishTimeout: 250,
    });
    expect(() => transports.broker(["amqp://h"], given)).not.toThrow();
  });
});
