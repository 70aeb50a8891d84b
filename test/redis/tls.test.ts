import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisBackend } from "../../adapters/redis/tcp.ts";
import { freePort } from "../support/ports.ts";
import { type PrivateServer, startRedis } from "../support/servers.ts";
import { closing, DAY, record, seen } from "./setup.ts";

// A certificate of the tests' own, signed by itself, for localhost and 127.0.0.1.
const cert = fileURLToPath(new URL("./fixtures/tls/cert.pem", import.meta.url));
const key = fileURLToPath(new URL("./fixtures/tls/key.pem", import.meta.url));

let server: PrivateServer;
let port: number;

beforeAll(async () => {
  port = await freePort();
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
  server = await startRedis({
    args: ["--tls-port", String(port), "--tls-auth-clients", "optional", ...files],
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe("TLS", () => {
  test.each([
    [
      "a CA file in the URL",
      (at: string) => redisBackend(`rediss://${at}/0?ssl_ca_certs=${encodeURIComponent(cert)}`),
    ],
    [
      "a CA given as text",
      (at: string) => redisBackend(`rediss://${at}/0`, { tls: { ca: readFileSync(cert, "utf8") } }),
    ],
    ["no check of the certificate", (at: string) => redisBackend(`rediss://${at}/0?ssl_cert_reqs=CERT_NONE`)],
    ["a client certificate", (at: string) => {
      const files = `ssl_ca_certs=${encodeURIComponent(cert)}&ssl_certfile=${encodeURIComponent(cert)}`;
      return redisBackend(`rediss://${at}/0?${files}&ssl_keyfile=${encodeURIComponent(key)}`);
    }],
  ])("with %s, results are stored, read and watched", async (_name, make) => {
    await using backend = closing(make(`127.0.0.1:${port}`));
    const id = crypto.randomUUID();
    const watching = seen(backend.watch([id]));
    expect(await backend.store(record(id, "SUCCESS"), { ttl: DAY })).toBe("stored");
    expect(await watching).toHaveLength(1);
  });

  test("a certificate that nobody vouches for is refused", async () => {
    await using backend = closing(redisBackend(`rediss://127.0.0.1:${port}/0`));
    await expect(backend.load(["a"])).rejects.toMatchObject({
      name: "ConnectionError",
      code: "backend-tls-refused",
    });
  });

  test("a certificate for another name is refused", async () => {
    await using backend = closing(
      redisBackend(`rediss://127.0.0.1:${port}/0`, {
        tls: { ca: readFileSync(cert, "utf8"), servername: "other.example" },
      }),
    );
    await expect(backend.load(["a"])).rejects.toMatchObject({
      name: "ConnectionError",
      code: "backend-tls-refused",
    });
  });

  test("a file that is not there is named", async () => {
    await using backend = closing(redisBackend(`rediss://127.0.0.1:${port}/0?ssl_ca_certs=/no/such.pem`));
    await expect(backend.load(["a"])).rejects.toMatchObject({
      name: "ConfigurationError",
      message: expect.stringContaining("/no/such.pem"),
    });
  });
});
