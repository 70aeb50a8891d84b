/**
 * What the tests of the gateway share: one in this process that is asked without a socket, and the bytes of base64.
 *
 * @module
 */
import { inject } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "../../src/gateway/mod.ts";

export const TOKEN = "right-token";

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The JSON of the body; undefined where it is none. */
  readonly json: unknown;
  readonly headers: Headers;
}

/** How a request is made; the right token is sent unless told otherwise. */
export interface Ask {
  readonly method?: string;
  readonly body?: BodyInit | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
}

/** A gateway over the shared Redis, and ways to ask it. */
export interface Asked extends Gateway {
  /** Sends a request to a path. */
  ask(path: string, ask?: Ask): Promise<Answer>;
  /** Sends a command as a JSON array. */
  run(...command: readonly unknown[]): Promise<unknown>;
}

/** Opens one; dispose of it. */
export function opened(options: Partial<GatewayOptions> = {}): Asked {
  const gateway = createGateway({ redis: inject("redis"), token: TOKEN, ...options });
  const ask = async (
    path: string,
    { method = "POST", body, headers = {}, token = TOKEN }: Ask = {},
  ): Promise<Answer> => {
    const response = await gateway.fetch(
      new Request(`http://gateway.test${path}`, {
        method,
        headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
        ...(body === undefined ? {} : { body, duplex: "half" }),
      } as RequestInit),
    );
    const text = await response.text();
    return { status: response.status, text, json: parsed(text), headers: response.headers };
  };
  return {
    ...gateway,
    ask,
    run: async (...command) => (await ask("/", { body: JSON.stringify(command) })).json,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A key that nobody else has. */
export function fresh(): string {
  return `gateway:${crypto.randomUUID()}`;
}

export const BASE64 = { "upstash-encoding": "base64" };

/** The bytes of `{"result":"<base64>"}`. */
export function bytesOf({ json }: Answer): Uint8Array {
  return Uint8Array.from(atob((json as { result: string }).result), (char) => char.charCodeAt(0));
}
