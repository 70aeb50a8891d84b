import { describe, expect, test } from "vitest";
import { ConfigurationError, ConnectionError, TopologyMismatchError } from "../../src/errors.ts";
import { explained, explaining } from "../../src/lib/mismatch.ts";

const said = (words: string): ConfigurationError =>
  new ConfigurationError("topology-mismatch", `The queue q cannot be used: PRECONDITION_FAILED - ${words}.`);

describe("a 406 of RabbitMQ 3.10", () => {
  // Each sentence is one that the real server gave.
  test.each<[string, object]>([
    [
      "inequivalent arg 'x-max-priority' for queue 'q' in vhost 'route': received the value '5' of type 'signedint' but current is none",
      { kind: "queue", entity: "q", argument: "x-max-priority", want: "5", have: undefined },
    ],
    [
      "inequivalent arg 'x-max-priority' for queue 'q' in vhost 'route': received '5' but current is '10'",
      { argument: "x-max-priority", want: "5", have: "10" },
    ],
    [
      "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost 'route': received none but current is the value 'd' of type 'longstr'",
      { argument: "x-dead-letter-exchange", want: undefined, have: "d" },
    ],
    [
      "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received 'd'q ' but' but current is 'd'",
      { argument: "x-dead-letter-exchange", want: "d'q ' but", have: "d" },
    ],
    [
      "inequivalent arg 'durable' for queue 'q' in vhost 'route': received 'false' but current is 'true'",
      { argument: "durable", want: "false", have: "true" },
    ],
    [
      "inequivalent arg 'type' for exchange 'x' in vhost 'route': received 'topic' but current is 'direct'",
      { kind: "exchange", entity: "x", argument: "type", want: "topic", have: "direct" },
    ],
  ])("%s", (words, parts) => {
    const error = explained(said(words));
    expect(error).toBeInstanceOf(TopologyMismatchError);
    expect(error).toMatchObject({ code: "topology-mismatch", ...parts });
    expect((error as Error).message).toContain(words);
    expect((error as Error).message).toMatch(
      /The server has \S+ .*, this program declares .*: declare the (queue|exchange) alike/,
    );
  });

  test("with other words, and any other error, stays what it is", async () => {
    for (
      const error of [
        said("invalid arg 'x-queue-type' for queue 'q'"),
        new ConnectionError("broker-lost", "gone"),
        new Error("x"),
      ]
    ) {
      expect(explained(error)).toBe(error);
      await expect(explaining(Promise.reject(error))).rejects.toBe(error);
    }
    expect(await explaining(Promise.resolve(5))).toBe(5);
  });
});
