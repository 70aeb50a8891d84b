import "vitest";

declare module "vitest" {
  /** What `inject()` gives: set by vitest.config.ts from RUNTIME, TEST_AMQP and TEST_REDIS. */
  interface ProvidedContext {
    runtime: "node" | "bun" | "deno" | "workerd";
    /** A RabbitMQ shared by all test files: name your queues and exchanges uniquely and delete them. */
    amqp: string;
    /** A Redis shared by all test files: use fresh keys, never FLUSHALL. */
    redis: string;
    /** The servers around a bundle of `test/support/edge/contracts`; nowhere else. */
    gateway: { readonly url: string; readonly token: string };
    polled: { readonly url: string; readonly token: string };
    relay: string;
    link: "shared" | "call";
  }
}
