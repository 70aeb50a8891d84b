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
    throw new ConfigurationError("package-missing", "@cloudamqp/amqp-client cannot be loaded.", {
      cause,
      hint: "Run: npm install @cloudamqp/amqp-client",
    });
  }
}
