import { describe, expect, test } from "vitest";
import { fatesAfterClose } from "../../adapters/amqp/verdict.ts";
import type { Outgoing } from "../../src/broker.ts";

function outgoing(routingKey: string, size = 1): Outgoing {
  const message = {
    headers: {},
    properties: {},
    contentType: "",
    contentEncoding: "",
    body: new Uint8Array(size),
  };
  return { message, to: { exchange: "x", routingKey }, mustRoute: true };
}

const MISSING = { code: 404, text: "NOT_FOUND - no exchange 'x' in vhost '/'" };
const kinds = (...fates: readonly unknown[]): unknown[] =>
  fates.map((fate) => (typeof fate === "string" ? fate : (fate as { is: string }).is));

describe("a channel that is closed", () => {
  test("over a missing exchange refuses all, for good and with the broker's words", () => {
    const fates = fatesAfterClose([outgoing("a"), outgoing("b")], MISSING, false);
    expect(fates).toEqual([
      { is: "refused", reason: "NOT_FOUND - no exchange 'x' in vhost '/' (404)", retry: false },
      { is: "refused", reason: "NOT_FOUND - no exchange 'x' in vhost '/' (404)", retry: false },
    ]);
  });

  test("over an exchange that had worked is sure of the last one only", () => {
    const fates = fatesAfterClose([outgoing("a"), outgoing("b"), outgoing("c")], MISSING, true);
    expect(kinds(...fates)).toEqual(["unknown", "unknown", "refused"]);
  });

  test("over a topic permission refuses those keys and sends the others again", () => {
    const text =
      "ACCESS_REFUSED - access to topic 'secret.x' in exchange 'amq.topic' in vhost '/' refused for user 'u'";
    const pending = [outgoing("open"), outgoing("secret.x"), outgoing("open"), outgoing("secret.x")];
    expect(kinds(...fatesAfterClose(pending, { code: 403, text }, false))).toEqual([
      "unknown",
      "refused",
      "again",
      "refused",
    ]);
    expect(kinds(...fatesAfterClose(pending, { code: 403, text }, true))).toEqual([
      "unknown",
      "unknown",
      "unknown",
      "refused",
    ]);
  });

  test("over a body's size refuses that one, knows nothing of those before, sends those after again", () => {
    const text = "PRECONDITION_FAILED - message size 300 is larger than configured max size 200";
    const pending = [outgoing("a"), outgoing("b", 300), outgoing("c"), outgoing("d", 300)];
    expect(kinds(...fatesAfterClose(pending, { code: 406, text }, true))).toEqual([
      "unknown",
      "refused",
      "again",
      "refused",
    ]);
  });

  test("over something that names no culprit is sure of a single one, and of none of several", () => {
    const sentence = {
      code: 406,
      text: "PRECONDITION_FAILED - user_id property set to 'a' but authenticated user was 'b'",
    };
    expect(kinds(...fatesAfterClose([outgoing("a")], sentence, true))).toEqual(["refused"]);
    expect(kinds(...fatesAfterClose([outgoing("a"), outgoing("b")], sentence, true))).toEqual([
      "unknown",
      "unknown",
    ]);
  });

  test("with nothing pending has nothing to say", () => {
    expect(fatesAfterClose([], MISSING, false)).toEqual([]);
  });
});
