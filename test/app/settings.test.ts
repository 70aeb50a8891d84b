import { describe, expect, test } from "vitest";
import { Celery } from "../../mod.ts";
import type { Broker, Transports } from "../../mod.ts";
import { snakeCase } from "../../src/app/settings-names.ts";
import { SETTING_NAMES } from "../../src/app/settings-table.ts";
import { failureOf, setup, stubBroker, thrownBy } from "./setup.ts";

describe("settings", () => {
  test("have Celery's defaults", () => {
    const { app } = setup();
    expect(app.conf).toMatchObject({
      acceptContent: ["json"],
      resultAcceptContent: ["json"],
      enableUtc: true,
      timezone: undefined,
      brokerUrl: [],
      brokerConnectionTimeout: 4000,
      brokerConnectionMaxRetries: 100,
      brokerHeartbeat: 120_000,
      resultExpires: 86_400_000,
      taskDefaultQueue: "celery",
      taskDefaultExchange: "celery",
      taskDefaultRoutingKey: "celery",
      taskPublishRetryPolicy: { maxRetries: 3, intervalStart: 0, intervalStep: 200, intervalMax: 1000 },
      taskAcksLate: false,
      workerPrefetchMultiplier: 4,
      publishTimeout: 30_000,
      contentLimits: { maxBody: 2 ** 27, maxDecompressed: 2 ** 24, maxRatio: 100, maxValues: 1_000_000 },
    });
  });

  test("take limits of content in parts, by either spelling, and the rest stays", () => {
    const { app } = setup();
    app.configFromObject({ content_limits: { max_values: 5, maxDepth: 7 } });
    expect(app.conf.contentLimits).toMatchObject({ maxValues: 5, maxDepth: 7, maxKeys: 1_000_000 });
  });

  test("come by Celery's names, in camelCase, and by the old names, mixed", () => {
    const { app } = setup();
    app.configFromObject({
      task_default_queue: "a",
      taskAcksLate: true,
      CELERY_TASK_RESULT_EXPIRES: 60,
      CELERY_TRACK_STARTED: true,
      CELERYD_CONCURRENCY: 3,
      BROKER_HEARTBEAT: 0,
      CELERY_MESSAGE_COMPRESSION: "gzip",
      CELERY_TASK_SERIALIZER: "json",
    });
    expect(app.conf).toMatchObject({
      taskDefaultQueue: "a",
      taskDefaultExchange: "a",
      taskAcksLate: true,
      resultExpires: 60_000,
      taskTrackStarted: true,
      workerConcurrency: 3,
      brokerHeartbeat: 0,
      taskCompression: "gzip",
    });
  });

  test("every one of ours is found by both of its names", () => {
    for (const name of SETTING_NAMES) {
      for (const spelling of [name, snakeCase(name)]) {
        const { app, lines } = setup();
        app.configFromObject({ [spelling]: undefined });
        expect(lines, spelling).toEqual([]);
      }
    }
  });

  test("come as a module, with or without a default export", async () => {
    const { app } = setup();
    app.configFromObject(await import("./celeryconfig.ts"));
    expect(app.conf).toMatchObject({ taskDefaultQueue: "from the module", resultExpires: 3_600_000 });
  });

  test("of the constructor win over those of configFromObject, as in Celery; later calls add up", () => {
    const { app } = setup({ taskDefaultQueue: "fixed" });
    app.configFromObject({ task_default_queue: "loose", task_default_priority: 1 });
    app.configFromObject({ task_default_priority: 2 });
    expect(app.conf).toMatchObject({ taskDefaultQueue: "fixed", taskDefaultPriority: 2 });
  });

  test("that were read may still change, and are then those that are used", async () => {
    const { app, asked } = setup();
    expect(app.conf.taskDefaultQueue).toBe("celery");
    app.configFromObject({ task_default_queue: "b" });
    expect(app.conf.taskDefaultQueue).toBe("b");
    await app.sendTask("t");
    expect(asked.batches[0]?.messages[0]?.to.routingKey).toBe("b");
  });

  test("Celery's None is what it is in Celery", () => {
    const { app } = setup();
    app.configFromObject({
      result_expires: null,
      broker_heartbeat: null,
      broker_connection_max_retries: null,
      task_default_exchange: null,
      timezone: null,
    });
    expect(app.conf).toMatchObject({
      resultExpires: undefined,
      brokerHeartbeat: 0,
      brokerConnectionMaxRetries: Infinity,
      taskDefaultExchange: "celery",
      timezone: undefined,
    });
  });

  test.each([
    ["task_acks_late", "yes"],
    ["task_default_queue", ""],
    ["task_default_queue", null],
    ["worker_concurrency", 0],
    ["worker_concurrency", 1.5],
    ["accept_content", [1]],
    ["task_protocol", 1],
    ["timezone", "Mars/Phobos"],
    ["task_default_exchange_type", "headers"],
    ["task_routes", { a: { que: "b" } }],
    ["task_routes", { a: { priority: "high" } }],
    ["task_queues", { a: { exchange_type: "headers" } }],
    ["task_routes", [["a", "b"]]],
    ["include", ["tasks.sum"]],
    ["broker_url", 5],
    ["task_publish_retry_policy", { max: 1 }],
    ["task_default_delivery_mode", 3],
    ["content_limits", 5],
    ["content_limits", { maxValues: 0 }],
    ["content_limits", { maxDepth: "deep" }],
    ["content_limits", { constructor: 5 }],
    ["result_expires", true],
  ])("%s: %j is refused", (name, value) => {
    const { app } = setup();
    const error = thrownBy(() => app.configFromObject({ [name]: value }));
    expect(error).toMatchObject({ name: "ConfigurationError", code: "setting-invalid" });
    expect(error.message).toContain(name);
  });

  test.each([
    [
      { task_routes: { "mail.send": { que: "mail" } } },
      'task_routes: the route of "mail.send" has no option "que". Did you mean "queue"?',
    ],
    [
      { task_routes: [() => null, { a: { queue: 5 } }] },
      'task_routes[1]: the route of "a": queue must be a text that is not empty; it is 5.',
    ],
    [
      { task_routes: { a: null } },
      'task_routes: the route of "a" must be the name of a queue, or an object; it is null (Celery\'s None).',
    ],
    [{ taskRoutes: [["a", "b"]] }, "task_routes[0] must be an array of pairs [name, route]."],
    [{ task_queues: { video: { routingkey: "k", exchangetype: "topic" } } }, 'queue "video"'],
    [
      { task_queues: { video: { exchange_typ: "topic" } } },
      'task_queues: queue "video" has no option "exchange_typ". Did you mean "exchangeType"?',
    ],
    [{ task_queues: [{ nam: "video" }] }, 'task_queues[0] has no option "nam". Did you mean "name"?'],
    [{ task_queues: [{ exchange: "x" }] }, "task_queues[0] has no name."],
    [
      { task_queues: { a: { bindings: [{ routing_key: "k" }] } } },
      'task_queues: queue "a": bindings[0]: exchange must be a text',
    ],
    [
      { task_queues: { a: { bindings: [{ exchange: "x", routing_kee: "k" }] } } },
      'bindings[0] has no option "routing_kee". Did you mean "routingKey"?',
    ],
  ])("within %j a slip is named by its place", (settings, sentence) => {
    const error = thrownBy(() => setup().app.configFromObject(settings));
    expect(error).toMatchObject({ code: "setting-invalid" });
    expect(error.message).toContain(sentence);
  });

  test.each([["publish_timeout", "10"], ["result_expires", -1], ["broker_heartbeat", "2 weeks"]])(
    "%s: %j is no duration",
    (name, value) => {
      const error = thrownBy(() => setup().app.configFromObject({ [name]: value }));
      expect(error).toMatchObject({ code: "duration-invalid" });
      expect(error.message).toContain(name);
    },
  );

  test("a refused object changes nothing", () => {
    const { app } = setup();
    thrownBy(() => app.configFromObject({ task_default_queue: "new", task_acks_late: "yes" }));
    expect(app.conf.taskDefaultQueue).toBe("celery");
  });

  test.each([
    ["task_defualt_queue", "task_default_queue"],
    ["taskDefualtQueue", "taskDefaultQueue"],
    ["brokerUrls", "brokerUrl"],
  ])("an unknown name is an error: %s, did you mean %s", (wrong, right) => {
    const error = thrownBy(() => setup().app.configFromObject({ [wrong]: 1 }));
    expect(error).toMatchObject({ code: "option-unknown" });
    expect(error.message).toContain(`Did you mean "${right}"?`);
  });

  test("an unknown option of the constructor is an error that says what was meant", () => {
    const error = thrownBy(() => new Celery("x", { brocker: null } as never));
    expect(error).toMatchObject({ code: "option-unknown" });
    expect(error.message).toContain('Did you mean "broker"?');
  });

  test("a setting that Celery has and we have not is one warning", () => {
    const { app, lines } = setup({ workerPool: "prefork" } as never);
    app.configFromObject({ worker_pool: "prefork", CELERYD_POOL: "solo", worker_hijack_root_logger: false });
    expect(lines.map(({ level, message }) => [level, message.split(" ")[2]])).toEqual([
      ["warning", "worker_pool"],
      ["warning", "worker_hijack_root_logger"],
    ]);
  });

  test("stand once the broker was used", async () => {
    const { app } = setup();
    app.configFromObject({ task_default_queue: "a" });
    await app.sendTask("t");
    expect(thrownBy(() => app.configFromObject({ task_default_queue: "b" }))).toMatchObject({
      code: "settings-in-use",
    });
  });

  test("of a fork lie over those of its origin", () => {
    const { app } = setup({ taskDefaultQueue: "a", taskDefaultPriority: 3 });
    const fork = app.fork({ taskDefaultQueue: "b" });
    expect(fork.conf).toMatchObject({ taskDefaultQueue: "b", taskDefaultPriority: 3 });
    expect(app.conf.taskDefaultQueue).toBe("a");
  });
});

describe("an app", () => {
  test("draws no id, starts no timer and touches no adapter in its constructor", () => {
    const { app, asked, clock, drawn } = setup();
    app.task("t.add", { params: ["x"] }, (x: number) => x);
    app.configFromObject({ task_default_queue: "q" });
    app.fork();
    app.result("id");
    app.signature("t.add", { args: [1] });
    expect([clock.waiting, drawn, asked.batches, asked.declared]).toEqual([0, [], [], []]);
  });

  test("draws its reply queue's name once, at the first send", async () => {
    const { app, asked } = setup();
    await app.sendTask("a");
    await app.sendTask("b");
    const names = asked.batches.map(({ messages }) => messages[0]?.message.properties["reply_to"]);
    expect(names[0]).toMatch(/^0{8}-/);
    expect(names[1]).toBe(names[0]);
  });

  test.each([
    ["", {}],
    [5 as never, {}],
    ["x", null as never],
    ["x", { broker: {} } as never],
    ["x", { backend: 5 } as never],
    ["x", { json: "fast" } as never],
  ])("of the name %j and options %j is refused", (name, options) => {
    expect(thrownBy(() => new Celery(name, options))).toMatchObject({ code: "option-invalid" });
  });

  test("given URLs without transports says what to import, and never the URL", async () => {
    const url = "amqp://user:canary-secret@host/vhost?password=canary-secret";
    const app = new Celery("x", { logger: { log() {} } });
    const errors = [
      thrownBy(() => new Celery("x", { broker: url })),
      thrownBy(() => new Celery("x", { backend: url })),
      thrownBy(() => new Celery("x", { brokerUrl: [url, url] })),
      thrownBy(() => app.configFromObject({ broker_url: url })),
      thrownBy(() => app.configFromObject({ broker_url: { url } })),
      thrownBy(() => app.configFromObject({ result_backend: [url] })),
      thrownBy(() => app.configFromObject({ task_default_exchange_type: url })),
      thrownBy(() => app.configFromObject({ brokerUlr: url })),
      await failureOf(app.sendTask("t", { kwargs: { url }, countdown: url as never })),
      await failureOf(app.sendTask("t", { queue: url as never, exchange: 5 as never })),
    ];
    expect(errors.slice(0, 3).map(({ code }) => code)).toEqual(Array(3).fill("transports-missing"));
    expect(errors[0]?.message).toContain('import { transports } from "celeriac/url"');
    for (const error of errors) {
      expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain("canary-secret");
    }
  });

  test("makes its adapters from URLs once, at first use, with its settings", async () => {
    const made: unknown[] = [];
    const { broker } = stubBroker();
    const transports: Transports = {
      broker: (urls, { settings }): Broker => {
        made.push([urls, settings.brokerTransportOptions]);
        return broker;
      },
      backend: () => {
        throw new Error("not asked for");
      },
    };
    const app = new Celery("x", { transports });
    app.configFromObject({
      broker_url: "amqp://a;amqp://b",
      broker_transport_options: { confirm_publish: true },
    });
    expect(made).toEqual([]);
    await app.sendTask("a");
    await app.sendTask("b");
    expect(made).toEqual([[["amqp://a", "amqp://b"], { confirm_publish: true }]]);
  });

  test("given an object takes it over a URL of the configuration", async () => {
    const { app, asked } = setup();
    app.configFromObject({ broker_url: "amqp://elsewhere" });
    await app.sendTask("t");
    expect(asked.batches).toHaveLength(1);
  });
});
