/**
 * What the tests of the Redis room share: fresh ids, records as Celery writes them, a bare client beside ours.
 *
 * @module
 */
import type { Redis } from "ioredis";
import { inject } from "vitest";
import type { Backend, ResultRecord } from "../../src/backend.ts";
import { bareClientOf } from "./bare-client.ts";

/** A day, ms. */
export const DAY = 86_400_000;

/** A record as kombu writes one. */
export function record(taskId: string, status: string, result: unknown = null): ResultRecord {
  const value = JSON.stringify(result);
  const text =
    `{"status": "${status}", "result": ${value}, "traceback": null, "children": [], "task_id": "${taskId}"}`;
  return { taskId, status, text };
}

/** A bare client; to be closed. */
export function bareClient(url: string = inject("redis")): Redis & AsyncDisposable {
  return bareClientOf(url);
}

/** The backend, closed at the end of the test. */
export function closing<B extends Backend>(backend: B): B & AsyncDisposable {
  return Object.assign(backend, { [Symbol.asyncDispose]: () => backend.close() });
}

/** The first record of that status, with what was seen on the way. */
export async function seen(source: AsyncIterable<ResultRecord>, status = "SUCCESS"): Promise<ResultRecord[]> {
  const all: ResultRecord[] = [];
  for await (const one of source) {
    all.push(one);
    if (one.status === status) break;
  }
  return all;
}

/** Host and port of a URL, as a proxy wants them. */
export function placeOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** The same URL by way of another port of this host. */
export function through(url: string, port: number): string {
  const copy = new URL(url);
  copy.hostname = "127.0.0.1";
  copy.port = String(port);
  return copy.href;
}
