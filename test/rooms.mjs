/**
 * Which tests run where. All run on Node, Bun and Deno but those named here.
 *
 * @module
 */

/**
 * Rooms that look at the repository, drive other runtimes by themselves, or prove at length what does not depend on the runtime: what servers,
 * Python and scripts inside Redis do. They run once, on Node.
 *
 * @type {readonly string[]}
 */
export const ONCE = [
  "test/house",
  "test/packaging",
  "test/edge",
  "test/workerd",
  "test/edge-runtime",
  "test/runners",
  "test/mutants",
  "test/redis/proof",
  "test/interop/once",
  "test/acceptance",
  // Each starts Python; test/interop/sum, app and redis-results do so everywhere.
  "test/interop/fixtures.test.ts",
  "test/interop/protocol.test.ts",
  "test/interop/revoke.test.ts",
  "test/interop/redis-broker.test.ts",
  // What Redis and kombu make of our scripts and keys; test/contract/redis runs everywhere.
  "test/redis/kombu.test.ts",
  "test/redis/lease.test.ts",
  "test/redis/lease-rescue.test.ts",
  "test/redis/reserved.test.ts",
  "test/redis/rights.test.ts",
  "test/redis/scripts.test.ts",
  "test/redis/upstash-python.test.ts",
  "test/app/thousand.test.ts",
  "test/support/servers.test.ts",
  // What a RabbitMQ of one's own says and does comes in the same frames; sockets that break are other tests' affair, everywhere.
  "test/amqp/private.test.ts",
  "test/amqp/native-park.test.ts",
  // test/amqp/same-faults.test.ts plays the same with workers of each runtime.
  "test/amqp/same-restarts.test.ts",
  "test/redis/same-faults.test.ts",
  // The reducer is held to RabbitMQ; that it is the same everywhere, test/simulation shows.
  "test/contract/rabbit-differential.test.ts",
  "test/contract/rabbit-time.test.ts",
  // As with a RabbitMQ of one's own.
  "test/contract/redis-restart.test.ts",
];

/** Globs of {@link ONCE}. */
export const ONLY_ON_NODE = ONCE.map((path) => path.endsWith(".ts") ? path : `${path}/**`);

/**
 * Files that take long, the longest first: begun last, one of them would be waited for alone. Where nobody named a file, the larger comes first.
 *
 * @type {readonly string[]}
 */
export const LONG = [
  "test/workerd/contracts.test.ts",
  "test/acceptance/rabbit.test.ts",
  "test/edge-runtime/contracts.test.ts",
  "test/packaging/types.test.ts",
  "test/workerd/publish.test.ts",
  "test/simulation/simulation.test.ts",
  "test/contract/rabbit-time.test.ts",
  "test/amqp/websocket-faults.test.ts",
  "test/amqp/private.test.ts",
  "test/amqp/native-park.test.ts",
  "test/redis/upstash-faults.test.ts",
  "test/redis/proof/kill.test.ts",
  "test/mutants/mutants.test.ts",
  "test/packaging/install.test.ts",
  "test/house/planted.test.ts",
  "test/contract/amqp.test.ts",
  "test/contract/amqp-websocket.test.ts",
  "test/contract/redis.test.ts",
  "test/contract/upstash.test.ts",
  "test/house/published.test.ts",
  "test/contract/rabbit-differential.test.ts",
  "test/support/servers.test.ts",
  "test/amqp/same-restarts.test.ts",
  "test/redis/same-faults.test.ts",
  "test/amqp/same-faults.test.ts",
  "test/runners/samples.test.ts",
];

/**
 * What runs inside workerd too.
 *
 * @type {readonly string[]}
 */
export const IN_WORKERD = [
  "test/lib",
  "test/protocol",
  "test/canvas",
  "test/result",
  "test/app",
  "test/memory",
  "test/testing",
  "test/simulation",
  "test/producer",
  "test/worker",
  "test/contract/memory.test.ts",
  "test/contract/recorded.test.ts",
];

/**
 * What does not run inside workerd, rooms and files, each with its reason. test/house/rooms.test.ts: every test file
 * is in one of the two lists.
 *
 * @type {Readonly<Record<string, string>>}
 */
export const OUT_OF_WORKERD = {
  ...Object.fromEntries(ONCE.map((room) => [room, "runs once, on Node"])),
  "test/amqp": "TCP and TLS sockets, proxies and child processes",
  "test/redis": "TCP and TLS sockets, proxies and child processes",
  "test/adapters": "names the adapters over TCP",
  "test/cli": "starts the command",
  "test/interop": "starts Python",
  "test/examples": "starts the examples",
  "test/gateway": "an HTTP server, and Redis over TCP",
  "test/support": "servers and proxies",
  "test/worker/faults.test.ts": "a TCP proxy before RabbitMQ",
  "test/worker/stop-servers.test.ts": "RabbitMQ and Redis over TCP",
  "test/contract/amqp.test.ts": "RabbitMQ over TCP",
  "test/contract/redis.test.ts": "Redis over TCP",
  "test/contract/amqp-websocket.test.ts":
    "starts a relay; test/workerd/contracts.test.ts has the same contract",
  "test/contract/upstash.test.ts":
    "starts a gateway; test/workerd/contracts.test.ts has the same contract of results",
  "test/simulation/guarantees.test.ts": "reads docs/guarantees.md",
};
