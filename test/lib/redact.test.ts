import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactText, redactUrl } from "../../src/lib/redact.ts";
import { often } from "../support/thorough.ts";

describe("redactUrl", () => {
  test.each([
    ["amqp://guest:canary@localhost:5672//", "amqp://guest:***@localhost:5672//"],
    ["redis://:canary@localhost:6379/0", "redis://:***@localhost:6379/0"],
    ["rediss://canary@localhost", "rediss://***@localhost"],
    ["amqp://localhost//", "amqp://localhost//"],
    ["redis://localhost:6379/0?password=canary&db=1", "redis://localhost:6379/0?password=***&db=1"],
    ["https://x.upstash.io?token=canary", "https://x.upstash.io?token=***"],
    ["https://x/?UPSTASH_REDIS_REST_TOKEN=canary#a", "https://x/?UPSTASH_REDIS_REST_TOKEN=***#a"],
    ["amqp://u:canary@a;amqp://v:canary@b:1//", "amqp://u:***@a;amqp://v:***@b:1//"],
    ["amqp://u:ca;na;ry@a;amqp://b", "amqp://u:***@a;amqp://b"],
    ["amqp://u:can/ary@host/vhost", "amqp://u:***@host/vhost"],
    ["amqp://u:can@ary@host/vhost", "amqp://u:***@host/vhost"],
    ["amqp://u:can?a#ry@host/vhost", "amqp://u:***@host/vhost"],
    ["amqp://u%3Acanary@host", "amqp://***@host"],
    ["://canary@host", "://***@host"],
    ["memory://", "memory://"],
    ["not a url", "not a url"],
    ["", ""],
  ])("%s", (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
    expect(redactUrl(url)).not.toContain("canary");
  });

  test("never shows a password, whatever characters it has, in a list of any length", () => {
    const odd = fc.array(fc.constantFrom(..."/:?#[]@!$&'()*+,;=% a\u0000é".replace(" ", "")), {
      maxLength: 6,
    }).map((parts) => parts.join(""));
    const url = fc.tuple(
      fc.constantFrom("amqp", "redis", "rediss+socket", "wss"),
      odd,
      odd,
      fc.constantFrom("/", "//", "/0?x=1", ""),
      // Of "amqp://user:;canary://@host" the list's grammar makes two URLs, and the second one's scheme is no secret.
    ).filter(([, before, after]) => !/;[\w+.-]*canary:\/\//.test(`${before}canary${after}`)).map((
      [scheme, before, after, rest],
    ) => `${scheme}://user:${before}canary${after}@host${rest}`);
    fc.assert(
      fc.property(fc.array(url, { minLength: 1, maxLength: 3 }), (urls) => {
        const shown = redactUrl(urls.join(";"));
        expect(shown).not.toContain("canary");
        expect(shown).toContain("@host");
        expect(redactUrl(shown)).toBe(shown);
      }),
      { numRuns: often(2000) },
    );
  });

  test("never throws", () => {
    fc.assert(fc.property(fc.anything(), (value) => {
      let text: string;
      try {
        text = String(value);
      } catch {
        return;
      }
      expect(typeof redactUrl(text)).toBe("string");
    }));
  });
});

describe("redactText", () => {
  test("takes credentials out of each URL in a sentence", () => {
    expect(redactText('Cannot reach "amqp://u:canary@h:1//": refused (also redis://:canary@r?token=canary)'))
      .toBe(
        'Cannot reach "amqp://u:***@h:1//": refused (also redis://:***@r?token=***',
      );
  });

  test("takes known secrets out, plain or percent-encoded", () => {
    expect(redactText("sent can ary and can%20ary, kept can", ["can ary", ""])).toBe(
      "sent *** and ***, kept can",
    );
    expect(redactText("a\ud800b", ["\ud800"])).toBe("a***b");
  });
});
