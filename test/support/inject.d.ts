import "vitest";

declare module "vitest" {
  /** What `inject()` gives: set by vitest.config.ts from RUNTIME, TEST_AMQP and TEST_REDIS. */
  interface ProvidedContext {
    runtime: "node" | "bun" | "deno";
    /** A RabbitMQ shared by all test files: name your queues and exchanges uniquely and delete them. */
    amqp: string;
    /** A Redis shared by all test files: use fresh keys, never FLUSHALL. */
    redis: string;
  }
}
