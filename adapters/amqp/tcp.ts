/**
 * RabbitMQ over TCP: `amqpBroker("amqp://…")`, `amqps://` for TLS.
 *
 * @example
 * ```ts
 * import { Celery } from "celeriac";
 * import { amqpBroker } from "celeriac/amqp";
 *
 * const app = new Celery("sums", { broker: amqpBroker("amqps://user:password@mq.example.org/shop") });
 * await app.sendTask("tasks.add", { args: [2, 3] });
 * await app.close();
 * ```
 *
 * @module
 */
import type { Broker, PublishBroker } from "../../src/broker.ts";
import { AmqpBroker } from "./broker.ts";
import { CallSender } from "./call.ts";
import { library } from "./library.ts";
import { type AmqpOptions, type PublisherOptions, readCallOptions, readOptions } from "./options.ts";
import { ownView } from "./own-view.ts";
import type { View } from "./tcp-client.ts";
import { parseTargets, type TcpTarget } from "./tcp-url.ts";
import type { Dial } from "./wire.ts";

export type { AmqpOptions, PublisherOptions, Topology } from "./options.ts";

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

/** Options of {@link amqpPublisher}. */
export interface AmqpTcpPublisherOptions extends PublisherOptions, Pick<AmqpTcpOptions, "tls"> {}

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
  return new AmqpBroker({
    targets: parseTargets(url),
    dial: dialTcp(tls, carefulView),
    settings: readOptions(rest),
    turn: 0,
  });
}

/**
 * The sending half of {@link amqpBroker}, for an edge function that only publishes: the same URLs, verdicts and errors in a smaller
 * bundle. Each call opens a connection of its own, and has said goodbye on it when it settles, as with `link: "call"`; so it has no options
 * `link`, `heartbeat`, `reconnect`, `closeTimeout`. Where a process lives on, `amqpBroker` keeps one.
 *
 * @throws {ConfigurationError} `broker-url-invalid`, `option-unknown`, `option-invalid`, `duration-invalid`.
 */
export function amqpPublisher(
  url: string | readonly string[],
  options: AmqpTcpPublisherOptions = {},
): PublishBroker {
  const { tls = {}, ...rest } = options;
  return new CallSender({
    targets: parseTargets(url),
    dial: dialTcp(tls, ownView),
    settings: readCallOptions(rest),
    turn: 0,
  });
}

async function carefulView(): Promise<View> {
  return (await import("./view.ts")).CarefulView;
}

function dialTcp(tls: TlsOptions, view: () => Promise<View>): Dial {
  const dial: Dial<TcpTarget> = async (target, settings, events) => {
    const [{ connectTcp }, FrameView] = await library(() => Promise.all([import("./tcp-client.ts"), view()]));
    return connectTcp(target, tls, FrameView, settings, events);
  };
  return dial as Dial;
}
