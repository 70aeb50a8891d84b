/** The captured vectors as messages. */
import { readFileSync } from "node:fs";
import type { Message } from "../../src/protocol/message.ts";

/** One captured message, as the JSON files hold it. */
export interface Captured {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly content_type: string;
  readonly content_encoding: string;
  readonly delivery_info: { readonly exchange: string; readonly routing_key: string };
  readonly body?: string;
  readonly body_base64?: string;
}

export interface TaskFile {
  readonly celery: string;
  readonly cases: Readonly<Record<string, readonly Captured[]>>;
}

export interface StoredKey {
  readonly type: string;
  readonly value?: string;
  readonly members?: readonly (readonly [string, number])[];
}

export interface WorkerFile {
  readonly celery: string;
  readonly results: Readonly<
    Record<string, {
      readonly keys: Readonly<Record<string, StoredKey>>;
      readonly published: readonly { readonly channel: string; readonly data: string }[];
    }>
  >;
}

export function load<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as T;
}

export function bodyOf(captured: Captured): Uint8Array {
  return captured.body === undefined
    ? Uint8Array.from(atob(captured.body_base64 ?? ""), (character) => character.charCodeAt(0))
    : new TextEncoder().encode(captured.body);
}

/** The message as an adapter hands it on. */
export function messageOf(captured: Captured): Message {
  const { content_type: contentType, content_encoding: contentEncoding, ...properties } = captured.properties;
  return {
    headers: captured.headers,
    properties,
    contentType: String(contentType),
    contentEncoding: String(contentEncoding),
    body: bodyOf(captured),
  };
}
