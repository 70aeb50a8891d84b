/**
 * What RabbitMQ says of a queue or exchange that is not as it was declared, taken apart.
 *
 * @module
 */
import { ConfigurationError, TopologyMismatchError } from "../errors.ts";

/** "inequivalent arg 'x-max-priority' for queue 'q' in vhost '/': received none but current is the value '10' of type 'byte'". */
const SENTENCE =
  /inequivalent arg '([^']+)' for (queue|exchange) '(.*)' in vhost '.*': received (.*) but current is (.*?)\.?$/s;

/** The value in "the value '10' of type 'byte'" and in "'10'"; undefined in "none". */
const VALUE = /^(?:the value '(.*)' of type '\w+'|'(.*)')$/s;

/** A "topology-mismatch" with the argument that differs, where the broker named it; any other error as it is. */
export function explained(error: unknown): unknown {
  if (!(error instanceof ConfigurationError) || error.code !== "topology-mismatch") return error;
  const [, argument, kind, name, received, current] = SENTENCE.exec(error.message) ?? [];
  if (argument === undefined || name === undefined || (kind !== "queue" && kind !== "exchange")) return error;
  return new TopologyMismatchError(error.message, {
    kind,
    name,
    argument,
    want: valueIn(received),
    have: valueIn(current),
  });
}

function valueIn(words = ""): string | undefined {
  const [, typed, bare] = VALUE.exec(words) ?? [];
  return typed ?? bare;
}

/** The work, whose "topology-mismatch" is {@link explained}. */
export async function explaining<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw explained(error);
  }
}
