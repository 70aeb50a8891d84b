/**
 * The library is an optional package: it is imported when a connection is opened, and not before.
 *
 * @module
 */
import { ConfigurationError } from "../../src/errors.ts";

/** What `load` imports; throws `ConfigurationError` "package-missing" where it is not there. */
export async function library<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new ConfigurationError("package-missing", "RabbitMQ needs the package @cloudamqp/amqp-client.", {
      cause,
      hint: "Install it: npm install @cloudamqp/amqp-client",
    });
  }
}
