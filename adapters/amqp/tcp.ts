/**
 * RabbitMQ over TCP: `amqpBroker("amqp://…")`, `amqps://` for TLS.
 *
 * @module
 */
import type { Broker } from "../../src/broker.ts";
import { ConfigurationError } from "../../src/errors.ts";
import { AmqpBroker } from "./broker.ts";
import { type AmqpOptions, readOptions } from "./options.ts";
import { parseTargets } from "./url.ts";
import type { Dial } from "./wire.ts";

export type { AmqpOptions, Topology } from "./options.ts";

/** How to speak TLS with `amqps://`, in Node's words; PEM texts or their bytes. */
export interface TlsOptions {
  /** Trusted certificate authorities instead of the runtime's own. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Our certificate chain. */
  readonly cert?: string | Uint8Array;
  /** Our private key. */
  readonly key?: string | Uint8Array;
  /** Opens `key`. */
  readonly passphrase?: string;
  /** The name to expect in the broker's certificate; the URL's host by default. */
  readonly servername?: string;
  /** False accepts any certificate: never outside of a laboratory. */
  readonly rejectUnauthorized?: boolean;
}

/** Options of {@link amqpBroker}. */
export interface AmqpTcpOptions extends AmqpOptions {
  /** For `amqps://` only. @default the runtime's own authorities, verified */
  readonly tls?: TlsOptions;
}

/**
 * A RabbitMQ broker over TCP. Does no I/O: the first call that needs a connection opens it. Publishing and consuming use a connection
 * each.
 *
 * @param url One URL, a failover list `"amqp://a;amqp://b"` or an array, tried in turn. `amqp://user:password@host:5672/vhost`; missing
 * parts are guest, guest, 127.0.0.1, 5672 (5671 for `amqps`) and "/".
 * @throws {ConfigurationError} `broker-url-invalid`, `option-unknown`, `option-invalid`, `duration-invalid`.
 */
export function amqpBroker(url: string | readonly string[], options: AmqpTcpOptions = {}): Broker {
  const { tls = {}, ...rest } = options;
  return new AmqpBroker(parseTargets(url), dialTcp(tls), readOptions(rest));
}

function dialTcp(tls: TlsOptions): Dial {
  return async (target, settings, events) => {
    const { connectTcp } = await clientModule();
    return connectTcp(target, tls, settings, events);
  };
}

async function clientModule(): Promise<typeof import("./tcp-client.ts")> {
  try {
    return await import("./tcp-client.ts");
  } catch (cause) {
    throw new ConfigurationError("package-missing", "RabbitMQ needs the package @cloudamqp/amqp-client.", {
      cause,
      hint: "Install it: npm install @cloudamqp/amqp-client",
    });
  }
}
