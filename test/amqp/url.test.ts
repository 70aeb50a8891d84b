import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amqpBroker } from "../../adapters/amqp/tcp.ts";
import { parseTargets } from "../../adapters/amqp/tcp-url.ts";
import { ConfigurationError } from "../../src/errors.ts";

const only = (url: string): ReturnType<typeof parseTargets>[0] => parseTargets(url)[0];

function refusal(url: string): ConfigurationError {
  try {
    parseTargets(url);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error("the URL was taken");
}

describe("the virtual host", () => {
  test.each([
    ["amqp://h", "/"],
    ["amqp://h/", "/"],
    ["amqp://h//", "/"],
    ["amqp://h/%2F", "/"],
    ["amqp://h/%2f", "/"],
    ["amqp://h/jobs", "jobs"],
    ["amqp://h//jobs", "/jobs"],
    ["amqp://h/jobs/eu", "jobs/eu"],
    ["amqp://h/jobs%2Feu", "jobs/eu"],
    ["amqp://h/caf%C3%A9%20%25", "café %"],
  ])("of %s is %s, as kombu reads it", (url, vhost) => {
    expect(only(url).vhost).toBe(vhost);
  });
});

describe("missing parts", () => {
  test("are guest, guest, 127.0.0.1 and the scheme's port", () => {
    expect(only("amqp://")).toMatchObject({
      host: "127.0.0.1",
      port: 5672,
      secure: false,
      username: "guest",
      password: "guest",
    });
    expect(only("amqps://h")).toMatchObject({ host: "h", port: 5671, secure: true });
    expect(only("pyamqp://h:1234//")).toMatchObject({ host: "h", port: 1234, secure: false });
  });

  test("localhost is 127.0.0.1, as py-amqp has it", () => {
    expect(only("amqp://localhost:5673//").host).toBe("127.0.0.1");
  });

  test("an IPv6 address loses its brackets", () => {
    expect(only("amqp://[::1]:5672/").host).toBe("::1");
  });
});

test("user and password come out of the URL as they went in", () => {
  let seen = 0;
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: "grapheme" }),
      fc.string({ minLength: 1, unit: "grapheme" }),
      (user, password) => {
        const url = `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@broker.test/v`;
        // Of what encodeURIComponent leaves alone, ";" is none: a list is never cut inside of credentials.
        const target = only(url);
        seen++;
        expect([target.username, target.password, target.host, target.vhost]).toEqual([
          user,
          password,
          "broker.test",
          "v",
        ]);
        if (password.length > 3 && !`${user}broker.test/v***`.includes(password)) {
          expect(decodeURIComponent(target.address)).not.toContain(password);
        }
      },
    ),
  );
  console.log(`url round trips: ${seen}`);
});

test("a list or an array is several brokers, in order", () => {
  expect(parseTargets("amqp://a//;amqps://b:1//; amqp://c/x").map(({ place }) => place)).toEqual([
    "a:5672",
    "b:1",
    "c:5672",
  ]);
  expect(parseTargets(["amqp://a//", "amqp://b//;amqp://c//"]).map(({ host }) => host)).toEqual([
    "a",
    "b",
    "c",
  ]);
});

test("the heartbeat may stand in the URL", () => {
  expect(only("amqp://h//?heartbeat=30").heartbeat).toBe(30);
  expect(only("amqp://h//").heartbeat).toBeUndefined();
});

describe("a URL that cannot be used", () => {
  test.each([
    ["", "must look like amqp://"],
    ["   ", "must look like amqp://"],
    ["redis://h", "must look like amqp://"],
    ["h:5672", "must look like amqp://"],
    ["amqp:h", "must look like amqp://"],
    ["amqp://us3r:s3cr3t@h:notaport//", "must look like amqp://"],
    ["amqp://us3r:s3cr3t@h:70000//", "must look like amqp://"],
    ["amqp://us3r:s3/cr3t@h//", "must look like amqp://"],
    ["amqp://us3r:5#s3cr3t@h//", "must look like amqp://"],
    ["amqp://us3r:5?s3cr3t@h//", "query parameter"],
    ["amqp://us3r:s3cr3t%ZZ@h//", "must look like amqp://"],
    ["amqp://us3r:s3cr3t@h/%E0%A4", "must look like amqp://"],
    ["amqp://us3r:s3cr3t@h//?heartbeat=soon", "heartbeat"],
    ["amqp://us3r:s3cr3t@h//?ssl=1", "ssl"],
    ["amqp://us3r:s3cr3t", "must look like amqp://"],
    ["amqp://h;redis://us3r:s3cr3t@x", "must look like amqp://"],
  ])("%s is refused with a code, a reason and no secret", (url, reason) => {
    const error = refusal(url);
    expect(error.code).toBe("broker-url-invalid");
    expect(error.message).toContain(reason);
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toMatch(/s3cr3t|s3\/cr3t|us3r/);
  });
});

describe("amqpBroker", () => {
  test("shows its address without the password", () => {
    expect(amqpBroker("amqp://me:s3cr3t@h:5672/v").address).toBe("amqp://me:***@h:5672/v");
    expect(amqpBroker("amqp://h//;amqp://me:s3cr3t@i//").address).toBe("amqp://h//;amqp://me:***@i//");
  });

  test("knows its options and says what was meant", () => {
    const wrong = { hearbeat: 3 } as object;
    expect(() => amqpBroker("amqp://h", wrong)).toThrow(/no option "hearbeat".*Did you mean "heartbeat"/);
    expect(() => amqpBroker("amqp://h", { reconnect: { mim: 3 } as object })).toThrow(
      /reconnect has no option "mim"/,
    );
    expect(() => amqpBroker("amqp://h", { maxInFlight: 0 })).toThrow(
      expect.objectContaining({ code: "option-invalid" }),
    );
    expect(() => amqpBroker("amqp://h", { topology: "maybe" as "leave" })).toThrow(
      /declare, passive or leave/,
    );
    expect(() => amqpBroker("amqp://h", { connectTimeout: "soon" as "1s" })).toThrow(/connectTimeout/);
  });
});
