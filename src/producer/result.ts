/**
 * From what a producer sent to its result.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import { systemPlatform } from "../lib/platform.ts";
import { AsyncResult } from "../result/async-result.ts";
import type { Sent } from "./producer.ts";

/**
 * The result of a task that was sent, or of an id, in the backend where its worker stores it. It asks nothing yet, and throws nothing.
 * Apart from `Producer`, so that a bundle that only sends holds nothing of it.
 *
 * @example
 * ```ts
 * import { Producer, resultOf } from "celeriac/producer";
 * import { memoryBackend, memoryBroker } from "celeriac/memory";
 *
 * const producer = new Producer({ broker: memoryBroker() });
 * const sent = await producer.sendTask<number>("tasks.add", { args: [2, 3] });
 * const result = resultOf(memoryBackend(), sent);
 * console.log(await result.state());
 * ```
 */
export function resultOf<T = unknown>(backend: Backend, sent: Sent<T> | string): AsyncResult<T> {
  return new AsyncResult<T>(typeof sent === "string" ? sent : sent.id, {
    platform: systemPlatform,
    exact: false,
    backend: () => backend,
  });
}
