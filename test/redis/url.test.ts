import { describe, expect, test } from "vitest";
import { parseRedisUrl } from "../../adapters/redis/url.ts";

function said(url: string): { code: string; message: string } {
  try {
    parseRedisUrl(url);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error(`was taken: ${url}`);
}

describe("Redis URLs", () => {
  test.each([
    ["redis://localhost:6379/0", { host: "localhost", port: 6379, db: 0 }],
    ["redis://", { host: "localhost", port: 6379, db: 0 }],
    ["redis:///3", { host: "localhost", port: 6379, db: 3 }],
    ["redis://h", { host: "h", port: 6379, db: 0 }],
    ["redis://h:1234/15/", { host: "h", port: 1234, db: 15 }],
    ["redis://h/?db=7", { host: "h", port: 6379, db: 7 }],
    ["redis://h/2?virtual_host=7", { host: "h", port: 6379, db: 7 }],
    ["redis://:secret@h/1", { host: "h", port: 6379, username: undefined, password: "secret", db: 1 }],
    ["redis://:secret@/1", { host: "localhost", port: 6379, password: "secret", db: 1 }],
    ["redis://user:p%40s%2Fs%23@h", { host: "h", port: 6379, username: "user", password: "p@s/s#", db: 0 }],
    ["redis://user@h", { host: "h", port: 6379, username: "user", password: "", db: 0 }],
    ["redis://h?password=p&username=u", { host: "h", port: 6379, username: "u", password: "p", db: 0 }],
    ["redis://[::1]:6380/2", { host: "::1", port: 6380, db: 2 }],
    ["REDIS://h", { host: "h", port: 6379, db: 0 }],
    ["redis+socket:///run/redis.sock?virtual_host=4", { path: "/run/redis.sock", db: 4 }],
    ["socket:///run/redis.sock", { path: "/run/redis.sock", db: 0 }],
    ["redis://h?socket_timeout=2.5&socket_connect_timeout=1&client_name=me&health_check_interval=25", {
      host: "h",
      port: 6379,
      db: 0,
      commandTimeout: 2500,
      connectTimeout: 1000,
      clientName: "me",
    }],
    ["rediss://h:6380/0", { host: "h", port: 6380, db: 0, tls: { rejectUnauthorized: true } }],
    ["rediss://h?ssl_cert_reqs=CERT_NONE", {
      host: "h",
      port: 6379,
      db: 0,
      tls: { rejectUnauthorized: false },
    }],
    ["rediss://h?ssl_cert_reqs=required&ssl_ca_certs=%2Fetc%2Fca.pem", {
      host: "h",
      port: 6379,
      db: 0,
      tls: { rejectUnauthorized: true, caFile: "/etc/ca.pem" },
    }],
  ])("%s is read as Celery reads it", (url, target) => {
    const { address: _address, ...rest } = parseRedisUrl(url);
    expect(rest).toEqual(target);
  });

  test("the address is the URL without its secrets", () => {
    expect(parseRedisUrl("redis://user:canary-1@h/1").address).toBe("redis://user:***@h/1");
    expect(parseRedisUrl("redis://h/1?password=canary-1").address).not.toContain("canary");
  });

  test.each([
    "",
    "localhost:6379",
    "http://canary-1@h",
    "redis://u:12/canary-1@h/0",
    "redis://u:12?canary-1@h/0",
    "redis://u:12#canary-1@h/0",
    "redis://:canary-1#2@h/0",
    "redis://:canary-1/2@h/0",
    "redis://u:canary-1@h:port/0",
    "redis://u:canary-1@h/zero",
    "redis://u:canary-1@h/-1",
    "redis://u:%canary-1@h/0",
    "redis://u:canary-1@h/0?databse=3",
    "redis://u:canary-1@h/0?socket_timeout=soon",
    "redis://u:canary-1@h/0?socket_timeout=0",
    "redis://u:canary-1@h/0?ssl_cert_reqs=none",
    "rediss://u:canary-1@h/0?ssl_cert_reqs=maybe",
    "redis+socket://u:canary-1@h/0",
    "redis+socket://",
  ])("%s is one clear error without the secret", (url) => {
    const { code, message } = said(url);
    expect(code).toBe("backend-url-invalid");
    expect(message).not.toContain("canary");
    expect(message).toMatch(/^The Redis URL/);
  });

  test("a parameter that is almost right names the right one", () => {
    expect(said("redis://h?socket_timout=1").message).toContain('"socket_timeout"');
  });
});
