/**
 * Values as RabbitMQ's error texts show them.
 *
 * @module
 */

/** RabbitMQ's name of the AMQP type in which a client sends the value. */
export function typeOf(value: unknown): string {
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "string":
      return "longstr";
    case "bigint":
      return "long";
    case "number":
      if (!Number.isInteger(value)) return "float";
      return Math.abs(value) < 2 ** 31 ? "signedint" : "long";
    default:
      return Array.isArray(value) ? "array" : "table";
  }
}

/** The value in quotes. */
export function erlangText(value: unknown): string {
  return `'${String(value)}'`;
}
