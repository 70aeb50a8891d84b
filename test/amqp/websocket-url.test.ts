import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amqpBroker, amqpPublisher } from "../../adapters/amqp/websocket.ts";
import { type Credentials, parseRelays, type WebSocketTarget } from "../../adapters/amqp/websocket-url.ts";
import { ConfigurationError } from "../../src/errors.ts";

const only = (url: string, given: Credentials = {}): WebSocketTarget => parseRelays(url, given)[0];

function refusal(url: string): ConfigurationError {
  try {
    parseRelays(url, {});
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error("the URL was taken");
}

describe("a relay's URL", () => {
  test.each<[string, Partial<WebSocketTarget>]>([
    ["ws://h", {
      url: "ws://h/",
      username: "guest",
      password: "guest",
      vhost: "/",
      place: "h",
      secure: false,
    }],
    ["wss://h", { url: "wss://h/", place: "h", secure: true }],
    ["WSS://H:8443/Path", { url: "wss://h:8443/Path", place: "h:8443" }],
    ["ws://[::1]:9/", { url: "ws://[::1]:9/", place: "[::1]:9" }],
    ["wss://u:p@h/ws", { url: "wss://h/ws", username: "u", password: "p" }],
    ["wss://u@h/ws", { username: "u", password: "guest" }],
    ["wss://u%40x:p%2F%3A@h/", { username: "u@x", password: "p/:" }],
    ["wss://h/ws?vhost=/x", { url: "wss://h/ws", vhost: "/x" }],
    ["wss://h/ws?vhost=%2Fx%20y", { vhost: "/x y" }],
    ["wss://h/ws?vhost=", { url: "wss://h/ws", vhost: "/" }],
    ["wss://h/ws?vhost", { url: "wss://h/ws", vhost: "/" }],
    ["wss://h/?a=1&vhost=x&b=%20+%2f&c", { url: "wss://h/?a=1&b=%20+%2f&c", vhost: "x" }],
    ["wss://h/?vhosts=1", { url: "wss://h/?vhosts=1", vhost: "/" }],
    ["wss://h/?heartbeat=5", { url: "wss://h/?heartbeat=5" }],
  ])("%s", (url, target) => {
    expect(only(url)).toMatchObject(target);
  });

  test("leaves what it does not say to the options", () => {
    const given = { username: "me", password: "pw", vhost: "/y" };
    expect(only("wss://h/", given)).toMatchObject(given);
    expect(only("wss://u:p@h/?vhost=z", given)).toMatchObject({ username: "u", password: "p", vhost: "z" });
    expect(only("wss://u@h/", given)).toMatchObject({ username: "u", password: "pw" });
  });

  test("may be several", () => {
    expect(parseRelays(["wss://a/x;ws://b", "ws://c:1"], {}).map(({ url }) => url)).toEqual([
      "wss://a/x",
      "ws://b/",
      "ws://c:1/",
    ]);
  });
});

test("user and password come out of the URL as they went in, and stay out of the WebSocket's URL and the address", () => {
  let seen = 0;
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: "grapheme" }),
      fc.string({ minLength: 6, unit: "grapheme" }),
      fc.string({ minLength: 6, unit: "grapheme" }),
      (user, password, token) => {
        // As the URL standard writes it: "'" as %27.
        const query = new URL(`wss://h/?token=${encodeURIComponent(token)}`).search.slice(1);
        const { username, password: read, url, address, secrets } = only(
          `wss://${encodeURIComponent(user)}:${encodeURIComponent(password)}@relay.test/p?${query}&vhost=v`,
        );
        seen++;
        expect([username, read, url]).toEqual([user, password, `wss://relay.test/p?${query}`]);
        expect(address).toBe(
          `wss://${new URL(`wss://${encodeURIComponent(user)}@h`).username}:***@relay.test/p?vhost=v`,
        );
        expect(secrets).toEqual(expect.arrayContaining([password, token]));
      },
    ),
  );
  console.log(`relay URLs: ${seen}`);
});

describe("a URL that cannot be used", () => {
  test.each([
    "",
    "amqp://h",
    "https://us3r:s3cr3t@h/",
    "ws:h",
    "wss://us3r:s3cr3t@h:port/",
    "wss://us3r:s3/cr3t@h/",
    "wss://us3r:s3cr3t",
    "wss://us3r:12/s3cr3t@h/",
    "wss://us3r:5#s3cr3t@h/",
    "wss://us3r:5?s3cr3t@h/",
    "wss://h/?token=s3cr3t#x",
    "wss://h/?token=s3cr3t@x",
    "wss://h:port/?token=s3cr3t",
    "wss://us3r:p@h:port/?token=s3cr3t",
    "wss://us3r:s3cr3t%ZZ@h/",
    "wss://h/;token=s3cr3t",
    "wss://h/;redis://us3r:s3cr3t@x",
  ])("%s is refused with a code, how it must look, and no secret", (url) => {
    const error = refusal(url);
    expect(error.code).toBe("broker-url-invalid");
    expect(error.message).toMatch(/must look like wss:.*\(or ws:.*%40/);
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toMatch(/s3cr3t|s3\/cr3t|us3r/);
  });
});

describe("amqpBroker", () => {
  test("shows neither password nor token, however it is looked at", () => {
    const url = "wss://me:s3cr3t-pw@h:1/v?token=s3cr3t-token&vhost=/x";
    const broker = amqpBroker(url, { reconnect: { min: "1s" } });
    expect(broker.address).toBe("wss://me:***@h:1/v?vhost=%2Fx");
    const other = amqpBroker("wss://h/", { username: "me", password: "s3cr3t-pw" });
    expect(other.address).toBe("wss://h/");
    for (const each of [broker, other]) {
      expect(inspect(each, { depth: 20, showHidden: true })).not.toMatch(/s3cr3t/);
      expect(JSON.stringify(each)).not.toMatch(/s3cr3t/);
    }
  });

  test("knows its options", () => {
    expect(() => amqpBroker("ws://h", { hearbeat: 3 } as object)).toThrow(/hearbeat/);
    expect(() => amqpBroker("ws://h", { tls: {} } as object)).toThrow(
      expect.objectContaining({ code: "option-unknown" }),
    );
  });

  test.each([
    ["webSocket", 5],
    ["webSocket", null],
    ["vhost", 8],
    ["vhost", ""],
    ["username", {}],
    ["password", 44_107_723],
  ])("and what they are: %s is not %j", (name, value) => {
    for (const make of [amqpBroker, amqpPublisher]) {
      expect(() => make("ws://h", { [name]: value } as object)).toThrow(
        expect.objectContaining({
          code: "option-invalid",
          message: expect.stringMatching(new RegExp(`^${name} must be (?!.*44107723)`)),
        }),
      );
    }
  });
});
